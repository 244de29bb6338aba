"""What waits of each priority: the tasks that no bridge has taken yet."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.documents import Task
from core.states import Priority, TaskStatus

COUNTED_AT_MOST = 10_000
"""A count reads that many entries of an index; what matters beyond is that it does not get less."""


@dataclass(frozen=True)
class Backlog:
    """How many tasks of a priority wait, and since when the first of them does (None where none waits)."""

    priority: Priority
    tasks: int
    since: datetime | None


async def measure(priority: Priority, visible: Mapping[str, Any] | None = None) -> Backlog:
    """Look at what is PENDING, of the tasks that MongoDB's filter `visible` lets through. Raises PyMongoError."""
    tasks = Task.get_pymongo_collection()
    waiting = {**(visible or {}), "status": TaskStatus.PENDING.value, "priority": priority.value}
    first = await tasks.find_one(waiting, {"status_at": 1}, sort=[("_id", 1)])
    if first is None:
        return Backlog(priority, 0, None)
    return Backlog(priority, await tasks.count_documents(waiting, limit=COUNTED_AT_MOST), first["status_at"])
