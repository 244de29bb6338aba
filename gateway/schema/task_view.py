"""What the schema shows of a stored task: plain attributes, worked out when they are asked for."""

from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.documents import Task, TaskFailure, TaskProgress, TimelineEntry
from core.states import Delivery, TaskStatus
from gateway.plans.same import Same
from gateway.shapes import INT_MAX

SHOWN_TIMELINE = 10
"""Entries shown of a timeline unless more are asked for: a task that failed at all of its three tries has 10."""


def capped(number: int) -> int:
    """Return what a GraphQL Int holds of a number of steps."""
    return number if 0 <= number <= INT_MAX else max(0, min(number, INT_MAX))


def percent_of(current: int, total: int | None) -> float | None:
    """Return how far so many steps are, 0 to 100; None without a total."""
    if not total or total < 0:
        return None
    return round(100.0 * current / total, 2) if 0 <= current <= total else 0.0 if current < 0 else 100.0


@dataclass(frozen=True, slots=True)
class ProgressView:
    """How far a task is. `current` and `total` are capped at what a GraphQL Int holds; `percent` is not affected."""

    progress: TaskProgress

    @property
    def current(self) -> int:
        return capped(self.progress.current)

    @property
    def total(self) -> int | None:
        return None if self.progress.total is None else capped(self.progress.total)

    @property
    def percent(self) -> float | None:
        return percent_of(self.progress.current, self.progress.total)

    @property
    def message(self) -> str | None:
        return self.progress.message


@dataclass(frozen=True, slots=True)
class TimelineView:
    """One change of status."""

    entry: TimelineEntry

    @property
    def status(self) -> TaskStatus:
        return self.entry.status

    @property
    def at(self) -> datetime:
        return self.entry.at

    @property
    def attempt(self) -> int:
        return self.entry.attempt

    @property
    def by(self) -> str:
        return self.entry.by

    @property
    def reason(self) -> str | None:
        return self.entry.reason

    @property
    def error(self) -> TaskFailure | None:
        if self.entry.error_code is None:
            return None
        return TaskFailure(code=self.entry.error_code, message=self.entry.error_message or "")

    @property
    def cursor(self) -> str:
        return str(self.entry.cursor)


class TaskView:
    """A stored task under the names of the schema, with how the news of it came.

    What is not here by another name is the document's own attribute.
    """

    __slots__ = ("delivery", "document")

    def __init__(self, document: Task, delivery: Delivery = Delivery.LIVE) -> None:
        self.document = document
        self.delivery = delivery

    def __getattr__(self, name: str) -> Any:
        return getattr(self.document, name)

    @property
    def told_to_all(self) -> Hashable:
        """The key of what all followers of the task are told."""
        return Same(self.document), self.delivery

    @property
    def kind(self) -> str:
        return self.document.kind

    @property
    def cursor(self) -> str:
        return str(self.document.cursor)

    @property
    def progress(self) -> ProgressView:
        return ProgressView(self.document.progress)

    def timeline(self, last: int) -> list[TimelineView]:
        """Return the latest entries of its timeline, oldest first."""
        return [TimelineView(entry) for entry in self.document.timeline[-last:]]
