"""Documents and values over the real schema, made by hypothesis: what to ask, and what is stored, bad values too."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from enum import Enum
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID
from zoneinfo import ZoneInfo

from graphql import (
    GraphQLInterfaceType,
    GraphQLObjectType,
    get_named_type,
    is_abstract_type,
    is_leaf_type,
)
from hypothesis import strategies as st

from core.documents import Batch, Item, Task, TaskFailure, TaskProgress, TimelineEntry
from core.events import Cursor, Event, Logged, Progressed, StateChanged
from core.states import Delivery, Priority, TaskStatus
from gateway.batches import RollUp
from gateway.relay.history import Gap, Told
from gateway.schema import build_schema
from gateway.schema.item_view import ItemView
from gateway.schema.items import ORDERS
from gateway.schema.paging import Page
from gateway.schema.stored_task import view_of
from gateway.schema.task_events import TaskEventView
from gateway.schema.task_view import TaskView
from jobs.kinds import load_kinds

KINDS = load_kinds()
SCHEMA = build_schema(KINDS)
GRAPHQL = SCHEMA._schema
MOMENT = datetime(2026, 1, 31, 12, 0, 0, 123_456, tzinfo=UTC)
PUT_BACK = datetime(2026, 11, 1, 1, 30, tzinfo=ZoneInfo("America/New_York"))
_MOMENTS = (MOMENT, MOMENT.replace(tzinfo=None), MOMENT.replace(tzinfo=None, hour=13), PUT_BACK)
"""With an offset and without; the last is equal to another one, an hour later."""
IDENT = UUID(int=7)
ROOTS = ("item", "items", "task", "tasks", "node")
_BAD: tuple[Any, ...] = (
    None,
    "text",
    3,
    2**40,
    float("nan"),
    True,
    [],
    {},
    [None],
    ValueError("stored badly"),
    IDENT,
    b"x",
)


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, dict[str, bool]]:
    """Return an operation's text and its variables."""
    fragments: list[str] = []
    fields = []
    conditions = "__typename @skip(if: $b) x: __typename @include(if: $a)"
    conditions_within = draw(st.booleans())  # So that some operations have no more than one field.
    for number in range(draw(st.integers(1, 3))):
        root = draw(st.sampled_from(ROOTS))
        field = GRAPHQL.query_type.fields[root]  # type: ignore[union-attr]
        arguments = "" if root.endswith("s") else '(id: "00000000-0000-0000-0000-000000000007")'
        below = selection(draw, get_named_type(field.type), 4, fragments)
        if conditions_within:
            below = f"{{ {conditions} {below[1:-1]} }}"
        fields.append(f"r{number}: {root}{arguments}{_condition(draw)} {below}")
    fields += [] if conditions_within else [conditions]
    text = f"query($a: Boolean = true, $b: Boolean!) {{ {' '.join(fields)} }}"
    variables = {"b": draw(st.booleans()), **({"a": draw(st.booleans())} if draw(st.booleans()) else {})}
    return " ".join([text, *fragments]), variables


@st.composite
def subscriptions(draw: st.DrawFn) -> tuple[str, str, dict[str, bool]]:
    """Return the name of a field that is followed, the operation's text and its variables."""
    fragments: list[str] = []
    root = draw(st.sampled_from(sorted(GRAPHQL.subscription_type.fields)))  # type: ignore[union-attr]
    field = GRAPHQL.subscription_type.fields[root]  # type: ignore[union-attr]
    arguments = "" if root == "tasksChanged" else '(id: "00000000-0000-0000-0000-000000000007")'
    below = selection(draw, get_named_type(field.type), 4, fragments)
    condition = "__typename @skip(if: $b) x: __typename @include(if: $a)"
    text = f"subscription($a: Boolean = true, $b: Boolean!) {{ r: {root}{arguments} {{ {condition} {below[1:-1]} }} }}"
    return root, " ".join([text, *fragments]), {"b": draw(st.booleans()), "a": draw(st.booleans())}


@st.composite
def told(draw: st.DrawFn, root: str) -> Any:
    """Return an event of a subscription; sometimes something in it is not as the schema promises."""
    delivery = draw(st.sampled_from(Delivery))
    if root in ("taskProgress", "tasksChanged"):
        return TaskView(spoil(draw, task(draw)), delivery)
    if root == "batchProgress":
        numbers = {TaskStatus.RUNNING: 2, draw(st.sampled_from(TaskStatus)): draw(st.sampled_from([1, 2**40]))}
        batch = spoil(draw, Batch.model_construct(id=IDENT, owner="local", total=5, created_at=MOMENT))
        return RollUp(batch, numbers, 1.5, draw(st.sampled_from([0, 3])), MOMENT, None, MOMENT)
    number = cast(int, draw(st.sampled_from([3, 2**40, "text"])))
    events: tuple[Event | Gap, ...] = (
        StateChanged(MOMENT, 1, TaskStatus.FAILED, "worker", None, draw(st.sampled_from([None, "E"])), "m"),
        Progressed(MOMENT, 1, number, draw(st.sampled_from([None, 0, 7])), "m"),
        Logged(MOMENT, number, "said"),
        Gap(MOMENT, 1, Cursor(1, 2), Cursor(1, 5)),
    )
    return TaskEventView(Told(Cursor(1, 4), draw(st.sampled_from(events)), delivery))


def _condition(draw: st.DrawFn) -> str:
    if draw(st.integers(0, 5)):
        return ""
    name, value = draw(st.sampled_from(("skip", "include"))), draw(st.sampled_from(("$b", "true", "false")))
    return f" @{name}(if: {value})"


def selection(draw: st.DrawFn, type_: Any, depth: int, fragments: list[str]) -> str:
    """Return what is selected of a type; fragments that it spreads are added to `fragments`."""
    parts = ["__typename"] if draw(st.booleans()) else []
    fields = [
        (name, field) for name, field in type_.fields.items() if depth > 1 or is_leaf_type(get_named_type(field.type))
    ]
    for name, field in draw(st.lists(st.sampled_from(fields), max_size=6)) if fields else ():
        alias = f"{name}_{draw(st.integers(1, 2))}: " if draw(st.integers(0, 3)) == 0 else ""
        arguments = ""
        if "last" in field.args and (last := draw(st.sampled_from([None, "null", "2", "0"]))):
            alias, arguments = f"{name}_last_{last}: ", f"(last: {last})"
        inner = get_named_type(field.type)
        below = "" if is_leaf_type(inner) else selection(draw, inner, depth - 1, fragments)
        parts.append(f"{alias}{name}{arguments}{_condition(draw)} {below}")
    for _ in range(draw(st.integers(0, 2))):
        parts.append(_fragment(draw, type_, depth, fragments))
    return "{ " + " ".join(parts or ["__typename"]) + " }"


def _fragment(draw: st.DrawFn, type_: Any, depth: int, fragments: list[str]) -> str:
    types: list[Any] = [type_]
    if is_abstract_type(type_):
        types += GRAPHQL.get_possible_types(type_)
    elif isinstance(type_, GraphQLObjectType | GraphQLInterfaceType):
        types += type_.interfaces
    on = draw(st.sampled_from(types))
    if depth < 1:
        return "... { __typename }"
    below = selection(draw, on, depth - 1, fragments)
    if draw(st.booleans()):
        return f"... on {on.name}{_condition(draw)} {below}"
    fragments.append(f"fragment f{len(fragments)} on {on.name} {below}")
    return f"...f{len(fragments) - 1}{_condition(draw)}"


@st.composite
def stored(draw: st.DrawFn) -> dict[str, Any]:
    """Return what each root finds; about half of the time something in it is not as the schema promises."""
    items = [spoil(draw, item(draw)) for _ in range(draw(st.integers(0, 3)))]
    tasks = [TaskView(spoil(draw, task(draw))) for _ in range(draw(st.integers(0, 3)))]
    found: dict[str, Any] = {
        "item": spoil(draw, item(draw)),
        "task": TaskView(spoil(draw, task(draw))),
        "items": draw(st.sampled_from([page(items), page_of(draw, item, ItemView)])),
        "tasks": draw(st.sampled_from([page(tasks), page_of(draw, task, view_of)])),
        "node": draw(st.sampled_from([*items, *tasks, None])),
    }
    if draw(st.integers(0, 3)) == 0:
        bad: tuple[Any, ...] = (
            None,
            5,
            SimpleNamespace(nodes=[None, 1], edges="x"),
            KeyError("gone"),
            [],
            {"nodes": None},
        )
        found[draw(st.sampled_from(ROOTS))] = draw(st.sampled_from(bad))
    return found


def page_of(draw: st.DrawFn, make: Callable[[st.DrawFn], Any], view: Callable[[dict[str, Any]], Any]) -> Any:
    """Return a page of documents as MongoDB holds them, some of which lack something or hold what they should not."""
    documents = []
    for _ in range(draw(st.integers(0, 3))):
        stored = make(draw).model_dump()
        stored = {name: value.value if isinstance(value, Enum) else value for name, value in stored.items()}
        stored["_id"] = stored.pop("id")
        name = draw(st.sampled_from(sorted(stored)))
        if draw(st.integers(0, 3)) == 0:
            stored[name] = draw(st.sampled_from(_BAD))
        elif name != "_id" and draw(st.integers(0, 3)) == 0:
            del stored[name]
        documents.append(stored)
    counted = cast(Any, Counted(draw(st.sampled_from([7, 2**40, "x", None, KeyError("gone")]))))
    return Page(counted, {}, ORDERS["NEWEST_FIRST"], documents, True, False, view)


class Counted:
    """Stands where the collection of a page does: says how many documents match, or raises."""

    def __init__(self, count: Any) -> None:
        self._count = count

    async def count_documents(self, _: object) -> Any:
        """Return the number when others had their turn."""
        await asyncio.sleep(0)
        if isinstance(self._count, Exception):
            raise self._count
        return self._count


def page(values: list[Any], count: Any = 7) -> Any:
    """Return a page whose entries show these values."""
    documents = [{"_id": IDENT, "value": value} for value in values]
    page: Page[Any] = Page(
        cast(Any, Counted(count)), {}, ORDERS["NEWEST_FIRST"], documents, True, False, lambda one: one["value"]
    )
    return page


def item(draw: st.DrawFn) -> Any:
    """Return a stored item."""
    return Item.model_construct(
        id=IDENT,
        name="n",
        description=draw(st.sampled_from([None, "d"])),
        metadata={"a": [1]},
        created_at=draw(st.sampled_from(_MOMENTS)),
        updated_at=draw(st.sampled_from([*_MOMENTS, PUT_BACK.replace(fold=1)])),
    )


def task(draw: st.DrawFn) -> Any:
    """Return a stored task."""
    made, changed = draw(st.sampled_from(_MOMENTS)), draw(st.sampled_from(_MOMENTS))
    entry = TimelineEntry(epoch=1, n=2, at=changed, attempt=1, status=TaskStatus.FAILED, error_code="E")
    result = {
        "inserted": 1,
        "updated": 2,
        "rejected": [{"line": 1, "reason": "r"}],
        "rejected_total": 1,
        "total_processed": 3,
        "processed_items": [],
    }
    return Task.model_construct(
        id=IDENT,
        kind=draw(st.sampled_from([*KINDS, "gone"])),
        status=draw(st.sampled_from(TaskStatus)),
        priority=Priority.LOW,
        input={"format": "CSV", "content": "x", "iterations": 3, "label": None},
        result=draw(st.sampled_from([None, {}, result])),
        error=draw(st.sampled_from([None, TaskFailure(code="A", message="b")])),
        progress=TaskProgress(current=2, total=4),
        attempt=1,
        max_attempts=3,
        timeout_s=draw(st.sampled_from([1.5, 60])),
        created_at=made,
        finished_at=draw(st.sampled_from([None, changed])),
        timeline=[entry],
        retry_of=IDENT,
    )


def spoil(draw: st.DrawFn, document: Any) -> Any:
    """Put something into a document, now and then, that the schema does not promise."""
    if draw(st.integers(0, 4)) == 0:
        name = draw(st.sampled_from(sorted(type(document).model_fields)))
        document.__dict__[name] = draw(st.sampled_from(_BAD))
    return document
