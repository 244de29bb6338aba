"""The queries for tasks: of each only the fields that are asked for leave MongoDB."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any
from uuid import UUID

import strawberry
from strawberry import UNSET

from core import documents
from core.errors import NotFound
from core.ids import parse_id
from gateway.guard.directives import page_size
from gateway.schema.fields import ContextInfo, query
from gateway.schema.paging import AFTER_HELP, DEFAULT_FIRST, FIRST_HELP, MAX_FIRST, Bare, Page, read_page
from gateway.schema.selection import selected
from gateway.schema.stored_task import view_of
from gateway.schema.task_view import TaskView
from gateway.schema.tasks import LARGE_FIELDS, ORDERS, TaskConnection, TaskFilter, TaskOrder, TaskType
from gateway.shapes import camel_case

STORED: Mapping[str, tuple[str, ...]] = {
    **{camel_case(name): (name,) for name in documents.Task.model_fields},
    "cursor": ("epoch", "n"),
    "inputJson": ("input",),
    "resultJson": ("result",),
}
"""What MongoDB holds of a task for the fields that show it; its kind and id are always read."""


def _wanted(info: ContextInfo) -> tuple[set[str], Callable[[Mapping[str, Any]], None] | None]:
    """Return the stored fields for what is asked, and what weighs a document if its large ones are among them."""
    names = selected(info)
    fields = {"kind", *(field for name in names for field in STORED.get(name, ()))}

    def weigh(document: Mapping[str, Any]) -> None:
        info.context.take_large([document.get("input"), document.get("result")])

    return fields, None if LARGE_FIELDS.isdisjoint(names) else weigh


async def read_task(info: ContextInfo, ident: UUID) -> TaskView | None:
    """Read what is asked of the task with this id, None if there is none that the asker may see.

    Raises ResponseTooLarge.
    """
    fields, weigh = _wanted(info)
    document = await documents.Task.get_pymongo_collection().find_one(
        {"_id": ident, **info.context.principal.visible}, dict.fromkeys(("_id", *fields), 1)
    )
    if document is None:
        return None
    if weigh is not None:
        weigh(document)
    return view_of(document)


LISTED = Bare()


async def read_tasks(
    info: ContextInfo,
    filter: TaskFilter | None,
    order: TaskOrder | None,
    *,
    first: int | None,
    after: str | None,
    within: Mapping[str, Any] | None = None,
) -> Page[TaskView]:
    """Read a page of the tasks that the asker may see, `within` a condition if there is one.

    Raises BadUserInput, and ResponseTooLarge where their inputs and results are asked for and too large together.
    """
    given = (info.context.principal.visible, *(filter.conditions() if filter else ()), dict(within or {}))
    conditions = [condition for condition in given if condition]
    fields, weigh = _wanted(info)
    return await read_page(
        LISTED.of(documents.Task.get_pymongo_collection()),
        {"$and": conditions} if conditions else {},
        ORDERS[(order or TaskOrder.NEWEST_FIRST).name],
        first=first,
        after=after,
        view=view_of,
        fields=fields,
        weigh=weigh,
        reads=info.context.reads,
    )


@strawberry.type
class TaskQuery:
    """The roots that read tasks."""

    @query(TaskType, description="The task with this id; NOT_FOUND if there is none.")
    async def task(
        self, info: ContextInfo, id: Annotated[strawberry.ID, strawberry.argument(description="Its UUID.")]
    ) -> TaskView:
        task = await read_task(info, parse_id(id))
        if task is None:
            raise NotFound("task", id)
        return task

    @query(
        TaskConnection,
        "Your tasks, or everybody's if you are an admin, a page at a time.",
        page_size(DEFAULT_FIRST, MAX_FIRST),
    )
    async def tasks(
        self,
        info: ContextInfo,
        first: Annotated[int | None, strawberry.argument(description=FIRST_HELP)] = DEFAULT_FIRST,
        after: Annotated[str | None, strawberry.argument(description=AFTER_HELP)] = UNSET,
        filter: Annotated[TaskFilter | None, strawberry.argument(description="Which tasks; null means all.")] = UNSET,
        order: Annotated[
            TaskOrder | None, strawberry.argument(description="In which order; null means NEWEST_FIRST.")
        ] = UNSET,
    ) -> Page[TaskView]:
        return await read_tasks(info, filter, order, first=first, after=after)
