"""What MongoDB says of the watched tasks, read in few queries."""

import asyncio
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from pymongo.errors import PyMongoError

from core.documents import Task
from core.errors import Unavailable
from core.events import Cursor
from core.states import TaskStatus
from gateway.relay.batched import Batched

T = TypeVar("T")
READ_TIMEOUT_S = 5.0
WHOLE_LIMIT = 64
"""Whole documents in one query: an input may be megabytes."""
MOVING_LIMIT = 256
FIXED = ("input", "checkpoint")
"""Large fields that a follower has from its first read; the input never changes, the checkpoint is the worker's."""


class Position(NamedTuple):
    """Where a stored task stands."""

    cursor: Cursor
    status: TaskStatus


class StoredTasks:
    """Reads task documents. Every method raises Unavailable if MongoDB does not answer."""

    def __init__(self) -> None:
        self._whole = Batched(_read_whole, name="relay: read tasks", limit=WHOLE_LIMIT, timeout_s=READ_TIMEOUT_S)
        self._moving = Batched(_read_moving, name="relay: re-read tasks", limit=MOVING_LIMIT, timeout_s=READ_TIMEOUT_S)

    async def aclose(self) -> None:
        """Stop what is under way."""
        await self._whole.aclose()
        await self._moving.aclose()

    async def read(self, task_id: UUID) -> Task | None:
        """Return the whole document, None if there is none."""
        return await _or_unavailable(self._whole.get(task_id))

    async def reread(self, known: Task) -> Task | None:
        """Return the document of a known task as it is now, None if it is gone. Does not fetch the input again."""
        fields = await _or_unavailable(self._moving.get(known.id))
        return None if fields is None else _completed(known, fields)

    async def reread_all(self, known: Sequence[Task]) -> dict[UUID, Task]:
        """Return the documents of these tasks as they are now, by one query; those that are gone are missing."""
        found = await _or_unavailable(_read_moving([task.id for task in known]))
        return {task.id: _completed(task, found[task.id]) for task in known if task.id in found}

    async def positions(self, task_ids: Iterable[UUID]) -> dict[UUID, Position]:
        """Return where these tasks stand, by one query of three fields; those that are gone are missing."""
        return await _or_unavailable(_read_positions(list(task_ids)))


async def _read_whole(task_ids: list[UUID]) -> Mapping[UUID, Task]:
    return {task.id: task async for task in Task.find({"_id": {"$in": task_ids}})}


async def _read_moving(task_ids: list[UUID]) -> Mapping[UUID, dict[str, Any]]:
    found = Task.get_pymongo_collection().find({"_id": {"$in": task_ids}}, dict.fromkeys(FIXED, 0))
    return {fields["_id"]: fields async for fields in found}


async def _read_positions(task_ids: list[UUID]) -> dict[UUID, Position]:
    found = Task.get_pymongo_collection().find({"_id": {"$in": task_ids}}, {"epoch": 1, "n": 1, "status": 1})
    return {
        fields["_id"]: Position(Cursor(fields["epoch"], fields["n"]), TaskStatus(fields["status"]))
        async for fields in found
    }


def _completed(known: Task, fields: dict[str, Any]) -> Task:
    task: Task = Task.model_validate(fields | {name: getattr(known, name) for name in FIXED})
    return task


async def _or_unavailable(reading: Awaitable[T]) -> T:
    try:
        async with asyncio.timeout(READ_TIMEOUT_S):
            return await reading
    except (PyMongoError, TimeoutError, OSError) as exc:
        raise Unavailable("MongoDB") from exc
