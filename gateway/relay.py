"""Follows tasks for this replica's subscribers over one Redis pub/sub connection."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

from core.documents import Task
from core.states import Delivery


@dataclass(frozen=True)
class Snapshot:
    """A task as it stands at `task.cursor`, and how the news came."""

    task: Task
    delivery: Delivery


class Relay:
    """Joins subscribers to tasks."""

    def follow(self, task_id: UUID, *, max_hz: float = 10.0) -> AsyncIterator[Snapshot]:
        """Yield the task as it is now, then as it moves on; end after the terminal status."""
        raise NotImplementedError
