"""What the board asks MongoDB: which tasks changed of late, and how tasks stand.

Every function raises Unavailable if MongoDB does not answer.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from core.documents import Task
from core.moments import with_moment
from core.states import HELD, TaskStatus
from gateway.relay.snapshot import Snapshot
from gateway.relay.stored import POSITION, Position, or_unavailable

PAGE = 2_000
RUNNING_LIMIT = 10_000
LARGE = ("input", "result")
LEFT_OUT = {"input": 0, "result": 0, "checkpoint": 0}


class Seen(NamedTuple):
    """Where a stored task stands, and since when it has its status."""

    task_id: UUID
    position: Position
    at: datetime


async def changed_since(moment: datetime, besides: Collection[UUID]) -> list[Seen]:
    """Return the other tasks whose status changed at this moment or later, the earliest first, at most PAGE."""
    query = {**with_moment(TaskStatus, "status_at", {"$gte": moment}), "_id": {"$nin": list(besides)}}
    return await _seen(query, PAGE, [("status_at", 1)])


async def progressed_since(moment: datetime) -> list[Seen]:
    """Return the running tasks whose stored progress is of this moment or later."""
    return await _seen({"status": {"$in": sorted(HELD)}, "progress_at": {"$gte": moment}}, RUNNING_LIMIT)


async def positions(task_ids: Sequence[UUID]) -> list[Seen]:
    """Return where these tasks stand; those that are gone are missing."""
    return await _seen({"_id": {"$in": list(task_ids)}}, len(task_ids))


async def read(task_ids: Sequence[UUID]) -> list[Task]:
    """Return these tasks without their large fields; those that are gone are missing."""

    async def found() -> list[Task]:
        cursor = Task.get_pymongo_collection().find({"_id": {"$in": list(task_ids)}}, LEFT_OUT)
        return [Task.model_validate({"input": {}, **fields}) async for fields in cursor]

    return await or_unavailable(found())


async def complete(snapshot: Snapshot) -> Snapshot:
    """Return the snapshot with the task's input and, where it has ended, its result."""
    large = await or_unavailable(
        Task.get_pymongo_collection().find_one({"_id": snapshot.task.id}, dict.fromkeys(LARGE, 1))
    )
    if large is None:
        return snapshot
    names = LARGE if snapshot.task.status.is_terminal else ("input",)
    return Snapshot(snapshot.task.model_copy(update={name: large[name] for name in names}), snapshot.delivery)


async def _seen(query: dict[str, Any], limit: int, order: list[tuple[str, int]] | None = None) -> list[Seen]:
    cursor = Task.get_pymongo_collection().find(query, {**POSITION, "status_at": 1})
    if order is not None:
        cursor = cursor.sort(order)
    return [
        Seen(fields["_id"], Position.of(fields), fields["status_at"])
        for fields in await or_unavailable(cursor.limit(limit).to_list())
    ]
