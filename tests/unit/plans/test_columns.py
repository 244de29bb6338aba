"""Lists are read from stored documents; what these lack, and whatever is no column, is asked of views."""

from datetime import datetime
from typing import Any, cast

import orjson
import pytest
from graphql import parse

from gateway.schema.item_view import ItemView
from gateway.schema.items import ORDERS
from gateway.schema.paging import Page
from gateway.schema.stored_task import view_of
from gateway.schema.task_view import TaskView
from tests.unit.plans.documents import IDENT, MOMENT, PUT_BACK
from tests.unit.plans.test_equal_results import FOUND, _in_memory, build, execution, run, shown
from tests.unit.plans.test_plans import served

__all__ = ["_in_memory"]
ITEMS = "{ items { nodes { id name description metadata createdAt updatedAt __typename } } }"
TASKS = (
    "{ tasks { nodes { id kind status cursor progress { percent } error { code } createdAt delivery __typename } } }"
)
TIMELINES = "{ tasks { nodes { id status inputJson timeline(last: 2) { status } } } }"
ITEM = {"_id": IDENT, "name": "n", "description": None, "metadata": {}, "created_at": MOMENT, "updated_at": MOMENT}
TASK = {
    "_id": IDENT,
    "kind": "processData",
    "status": "RUNNING",
    "progress": {"current": 1, "total": 2, "message": None},
    "error": {"code": "A", "message": "b"},
    "input": {"data": "x"},
    "epoch": 1,
    "n": 2,
    "created_at": MOMENT,
    "timeline": [{"epoch": 1, "n": 1, "at": MOMENT, "attempt": 0, "status": "PENDING"}],
}


@pytest.mark.parametrize(
    ("text", "document", "lacking", "views"),
    [
        (ITEMS, ITEM, "", 0),
        (ITEMS, ITEM, "description", 2),
        (ITEMS, ITEM, "metadata", 2),
        (TASKS, TASK, "", 0),
        (TASKS, TASK | {"kind": "gone"}, "", 0),
        (TASKS, TASK, "progress", 2),
        (TIMELINES, TASK, "", 2),
    ],
)
async def test_list_is_read_from_its_documents(
    monkeypatch: pytest.MonkeyPatch, text: str, document: dict[str, Any], lacking: str, views: int
) -> None:
    made: list[object] = []
    for kind in (ItemView, TaskView):
        begin = kind.__init__

        def note(self: object, *given: Any, begin: Any = begin) -> None:
            made.append(self)
            begin(self, *given)

        monkeypatch.setattr(kind, "__init__", note)
    documents = [document, {key: value for key, value in document.items() if key != lacking}]
    view = cast(Any, ItemView if document is ITEM else view_of)
    for root in ("items", "tasks"):
        FOUND[root] = Page(cast(Any, None), {}, ORDERS["NEWEST_FIRST"], documents, True, False, view)
    before = served("value")
    answer = shown(await execution(parse(text), {}).run())
    assert (served("value"), len(made)) == (before, views)
    assert answer == await run(build(parse(text), {}))
    assert orjson.loads(answer)[1] == []


@pytest.mark.parametrize(
    ("created", "updated", "told"),
    [
        (MOMENT, MOMENT, ["2026-01-31T12:00:00.123Z"] * 2),
        (MOMENT.replace(tzinfo=None), MOMENT.replace(tzinfo=None), ["2026-01-31T12:00:00.123Z"] * 2),
        (MOMENT, MOMENT.replace(tzinfo=None, hour=13), ["2026-01-31T12:00:00.123Z", "2026-01-31T13:00:00.123Z"]),
        (PUT_BACK, PUT_BACK.replace(fold=1), ["2026-11-01T05:30:00.000Z", "2026-11-01T06:30:00.000Z"]),
    ],
)
async def test_moments_of_one_item_are_told_apart(created: datetime, updated: datetime, told: list[str]) -> None:
    documents = [ITEM | {"created_at": created, "updated_at": updated}]
    FOUND["items"] = Page(cast(Any, None), {}, ORDERS["NEWEST_FIRST"], documents, True, False, ItemView)
    before = served("value")
    answer = await execution(parse("{ items { nodes { createdAt updatedAt } } }"), {}).run()
    assert served("value") == before
    assert answer.data == {"items": {"nodes": [dict(zip(("createdAt", "updatedAt"), told, strict=True))]}}
