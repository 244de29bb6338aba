"""Tasks: the interface, the type for kinds that are not installed, the connection, its filter and its orders."""

from datetime import datetime
from enum import Enum
from typing import Annotated, Any, ClassVar, cast

import strawberry
from graphql import GraphQLResolveInfo
from strawberry import UNSET

from core import documents
from core.errors import BadUserInput
from core.ids import parse_id
from core.item_filter import created_between
from core.transition import TIMELINE_LENGTH
from gateway.guard.directives import LARGE_WEIGHT, SCAN_WEIGHT, Cost, ListSize
from gateway.schema.enums import Delivery, Priority, TaskStatus
from gateway.schema.fields import ContextInfo
from gateway.schema.node import NodeType
from gateway.schema.paging import (
    ID,
    Order,
    PageInfo,
    count,
)
from gateway.schema.scalars import JSON
from gateway.schema.stored_task import COLUMNS
from gateway.schema.task_view import SHOWN_TIMELINE, TaskView
from gateway.shapes import shape_of

MAX_KINDS = 100
LARGE_FIELDS = frozenset({"input", "inputJson", "result", "resultJson"})


@strawberry.type(description="How far the latest attempt of a task is.")
class Progress:
    """Its source is a ProgressView."""

    current: int = strawberry.field(description="Steps done; never falls within an attempt.")
    total: int | None = strawberry.field(description="Steps in all, null while unknown.")
    percent: float | None = strawberry.field(description="0 to 100, null without a total.")
    message: str | None = strawberry.field(description="What the task is doing, in its own words.")


@strawberry.type(description="Why a task, or an attempt of it, did not succeed.")
class TaskError:
    """Its source is a TaskFailure."""

    code: str = strawberry.field(description="A stable word such as TIMEOUT, WORKER_LOST, FORCED or a kind's own.")
    message: str = strawberry.field(description="A sentence for people.")


@strawberry.type(description="One change of a task's status.")
class TimelineEntry:
    """Its source is a TimelineView."""

    status: TaskStatus = strawberry.field(description="The status that it took.")
    at: datetime = strawberry.field(description="When.")
    attempt: int = strawberry.field(description="The attempt it belongs to, 0 before the first.")
    by: str = strawberry.field(description="Which part of the system made the change.")
    reason: str | None = strawberry.field(description="Why, where that needs saying.")
    error: TaskError | None = strawberry.field(description="What went wrong, where something did.")
    cursor: str = strawberry.field(description="The id of this change's event, `epoch-n`.")


def _json(info: ContextInfo, task: documents.Task, *, of_result: bool) -> Any:
    kind = info.context.services.kinds.get(task.kind)
    stored = task.result if of_result else task.input
    if kind is None or stored is None:
        return stored
    return shape_of(kind.result_model if of_result else kind.input_model).public(stored)


def _input_json(root: TaskView, info: ContextInfo) -> JSON:
    return JSON(_json(info, root.document, of_result=False))


def _result_json(root: TaskView, info: ContextInfo) -> JSON | None:
    result = _json(info, root.document, of_result=True)
    return None if result is None else JSON(result)


def _timeline(
    root: TaskView,
    last: Annotated[
        int | None, strawberry.argument(description=f"How many of them, 1 to {TIMELINE_LENGTH}: all that are kept.")
    ] = SHOWN_TIMELINE,
) -> list[TimelineEntry]:
    limit = SHOWN_TIMELINE if last is None else last
    if not 1 <= limit <= TIMELINE_LENGTH:
        raise BadUserInput("last", f"1 to {TIMELINE_LENGTH}", got=limit)
    return cast("list[TimelineEntry]", root.timeline(limit))


@strawberry.interface(name="Task", description="Work that was submitted, from its submit to its end.")
class TaskType(NodeType):
    """Its source is a TaskView. Each installed kind adds a type with its own `input` and `result`."""

    kind: str = strawberry.field(description="What kind of task it is: the name of the mutation that submits it.")
    status: TaskStatus = strawberry.field(description="Where it stands.")
    progress: Progress = strawberry.field(description="How far the latest attempt is.")
    error: TaskError | None = strawberry.field(
        description="Why it failed; while RETRYING, why the last attempt did. Null otherwise."
    )
    input_json: JSON = strawberry.field(
        resolver=_input_json, description="Its input, defaults filled in.", directives=[Cost(weight=LARGE_WEIGHT)]
    )
    result_json: JSON | None = strawberry.field(
        resolver=_result_json, description="Its result, null until SUCCEEDED.", directives=[Cost(weight=LARGE_WEIGHT)]
    )
    attempt: int = strawberry.field(description="How often it was started.")
    max_attempts: int = strawberry.field(description="How many attempts may fail before it does.")
    priority: Priority = strawberry.field(description="Which tasks go before it.")
    cursor: str = strawberry.field(
        description="The id of the latest event told here, `epoch-n`. Of two, the greater pair of numbers is newer."
    )
    delivery: Delivery = strawberry.field(description="How this news arrived.")
    created_at: datetime = strawberry.field(description="When it was submitted.")
    started_at: datetime | None = strawberry.field(description="When its latest attempt started.")
    finished_at: datetime | None = strawberry.field(description="When it ended.")
    worker_seen_at: datetime | None = strawberry.field(description="When its worker last gave a sign of life.")
    progress_at: datetime | None = strawberry.field(description="When its latest attempt last reported progress.")
    cancel_reason: str | None = strawberry.field(description="Why it was asked to stop.")
    retry_of: strawberry.ID | None = strawberry.field(description="The ended task that this one repeats.")
    timeline: list[TimelineEntry] = strawberry.field(
        resolver=_timeline,
        description="Its latest changes of status, oldest first. `taskEvents` tells of progress and log lines, too.",
        directives=[
            ListSize(
                assumed_size=SHOWN_TIMELINE,
                slicing_arguments=["last"],
                require_one_slicing_argument=False,
                maximum=TIMELINE_LENGTH,
            )
        ],
    )
    published_at: datetime | None = strawberry.field(
        description="When the broker confirmed that it holds the task; null until then, and where there is no broker. "
        "The answer to the submit tells it at once. It is stored 0.1 s later, and who takes the task from the broker "
        "before that stores the time of this instead."
    )
    run_at: datetime | None = strawberry.field(description="Before when it, or its next attempt, does not start.")
    deadline: datetime | None = strawberry.field(description="If it has not started by then, it expires.")
    timeout_s: float = strawberry.field(description="Seconds that one attempt may take.")
    batch_id: strawberry.ID | None = strawberry.field(description="The batch it was submitted in.")
    owner: str = strawberry.field(description="Whose it is: whoever submitted it, or `local` without authentication.")
    correlation_id: str | None = strawberry.field(
        description="The `X-Request-Id` of the request that submitted it: logs of all processes carry it."
    )

    columns: ClassVar = COLUMNS
    is_as_resolved: ClassVar = True
    """`is_type_of` says what `resolve_type` says: plans ask once."""

    @classmethod
    def is_type_of(cls, source: Any, info: GraphQLResolveInfo[Any]) -> bool:
        """Tell graphql-core whether a value is of the object type that this class became."""
        definition = cls.__strawberry_definition__  # type: ignore[attr-defined]
        return isinstance(source, TaskView) and cls.resolve_type(source, info, None) == definition.name


@strawberry.type(description="A task whose kind is not installed here: its input and result are there as JSON only.")
class UntypedTask(TaskType):
    """It has nothing beside the interface's fields."""


@strawberry.type(description="A task and its place in the list.")
class TaskEdge:
    """Relay's edge."""

    node: TaskType = strawberry.field(description="The task.")
    cursor: str = strawberry.field(description="Its place in this order, for `after`; not the task's own cursor.")


@strawberry.type(description="A page of tasks.")
class TaskConnection:
    """Relay's connection; its source is a Page."""

    edges: list[TaskEdge] = strawberry.field(description="The page's tasks, each with its cursor.")
    nodes: list[TaskType] = strawberry.field(description="The page's tasks.")
    page_info: PageInfo = strawberry.field(description="Whether and where the list goes on.")
    total_count: int = strawberry.field(
        resolver=count,
        description="How many tasks the filter matches on all pages; counted only when asked for.",
        directives=[Cost(weight=SCAN_WEIGHT)],
    )


@strawberry.enum(description="The order of tasks.")
class TaskOrder(Enum):
    """A member's name is also the name inside its cursors."""

    NEWEST_FIRST = strawberry.enum_value("NEWEST_FIRST", description="The latest submitted first.")
    OLDEST_FIRST = strawberry.enum_value("OLDEST_FIRST", description="The first submitted first.")


ORDERS = {order.name: order for order in (Order("NEWEST_FIRST", (ID,), -1), Order("OLDEST_FIRST", (ID,), 1))}


@strawberry.input(description="Which tasks to list: those that meet every condition given.")
class TaskFilter:
    """Conditions on tasks."""

    kinds: list[str] | None = strawberry.field(
        default=UNSET, description=f"Of one of these kinds, at most {MAX_KINDS}; they need not be installed."
    )
    statuses: list[TaskStatus] | None = strawberry.field(default=UNSET, description="With one of these statuses.")
    created_from: datetime | None = strawberry.field(default=UNSET, description="Submitted at this moment or later.")
    created_to: datetime | None = strawberry.field(default=UNSET, description="Submitted before this moment.")
    batch_id: strawberry.ID | None = strawberry.field(default=UNSET, description="Submitted in this batch.")

    def conditions(self) -> list[dict[str, Any]]:
        """Return the conditions for MongoDB. Raises BadUserInput."""
        found = created_between(self.created_from, self.created_to)
        if self.kinds is not None and self.kinds is not UNSET:
            if len(self.kinds) > MAX_KINDS:
                raise BadUserInput("filter.kinds", f"at most {MAX_KINDS} kinds")
            found.append({"kind": {"$in": sorted(set(self.kinds))}})
        if self.statuses is not None and self.statuses is not UNSET:
            found.append({"status": {"$in": sorted({status.value for status in self.statuses})}})
        if self.batch_id:
            found.append({"batch_id": parse_id(self.batch_id, "filter.batchId")})
        return found
