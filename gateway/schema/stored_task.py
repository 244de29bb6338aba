"""A task as MongoDB holds it, under the names of `core.documents.Task`, without making that of it."""

from typing import Any
from uuid import UUID

from core.documents import Task, TaskFailure, TaskProgress, TimelineEntry
from core.events import Cursor
from core.states import Priority, TaskStatus


class StoredTask:
    """What was read of a task, which is what is asked for: each value is made when it is looked at.

    A whole Task takes 10 times as long to make, and a list has up to 100 (measured 2026-11).
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
