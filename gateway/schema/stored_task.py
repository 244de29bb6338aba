"""A task as MongoDB holds it, under the names of `core.documents.Task`, without making that of it."""

from typing import Any, cast
from uuid import UUID

from graphql import GraphQLResolveInfo

from core.documents import Task, TaskFailure, TaskProgress, TimelineEntry
from core.events import Cursor
from core.states import Delivery, Priority, TaskStatus
from gateway.schema.columns import Columns
from gateway.schema.node import task_type_of
from gateway.schema.task_view import TaskView, capped, percent_of


class StoredTask:
    """What was read of a task, which is what is asked for: each value is made when it is looked at.

    A whole Task takes 10 times as long to make, and a list has up to 100 (measured 2026-11). Its attributes are the
    document's own: whoever shares a read has views of the same documents, so nobody may set one.
    """

    def __init__(self, document: dict[str, Any]) -> None:
        self.__dict__ = document

    def __getattr__(self, name: str) -> Any:
        """Return what a task has that was stored without it."""
        field = Task.model_fields.get(name)
        if field is None or field.is_required():
            raise AttributeError(name)
        return field.get_default(call_default_factory=True)

    @property
    def id(self) -> UUID:
        ident: UUID = self.__dict__["_id"]
        return ident

    @property
    def status(self) -> TaskStatus:
        return TaskStatus(self.__dict__["status"])

    @property
    def priority(self) -> Priority:
        return Priority(self.__dict__.get("priority", Priority.NORMAL))

    @property
    def progress(self) -> TaskProgress:
        return TaskProgress.model_validate(self.__dict__.get("progress", {}))

    @property
    def error(self) -> TaskFailure | None:
        stored = self.__dict__.get("error")
        return None if stored is None else TaskFailure.model_validate(stored)

    @property
    def timeline(self) -> list[TimelineEntry]:
        return [TimelineEntry.model_validate(entry) for entry in self.__dict__.get("timeline", ())]

    @property
    def cursor(self) -> Cursor:
        return Cursor(self.__dict__.get("epoch", 1), self.__dict__.get("n", 1))


def view_of(document: dict[str, Any]) -> TaskView:
    """Return the view of a stored task, of which only what is asked for was read."""
    return TaskView(cast(Task, StoredTask(document)))  # It has a task's names, and that is all a view needs.


def _progress(document: dict[str, Any]) -> dict[str, Any]:
    stored = document["progress"]
    current, total, message = stored["current"], stored["total"], stored["message"]
    if type(current) is not int or type(total) not in (int, _NONE) or type(message) not in (str, _NONE):
        raise KeyError("progress")
    shown = None if total is None else capped(total)
    return {"current": capped(current), "total": shown, "percent": percent_of(current, total), "message": message}


def _error(document: dict[str, Any]) -> dict[str, Any] | None:
    stored: dict[str, Any] | None = document["error"]
    if stored is not None and (type(stored["code"]) is not str or type(stored["message"]) is not str):
        raise KeyError("error")
    return stored


def _cursor(document: dict[str, Any]) -> str:
    return f"{document['epoch']}-{document['n']}"


def _type_of(document: dict[str, Any], info: GraphQLResolveInfo[Any]) -> str:
    return task_type_of(document["kind"], info)


_NONE = type(None)
_MADE = {"progress": _progress, "error": _error, "cursor": _cursor, "delivery": lambda _: Delivery.LIVE}
COLUMNS = Columns(
    view_of,
    {name: name for name in Task.model_fields if name not in _MADE} | {"id": "_id"},
    _MADE,
    _type_of,
)
