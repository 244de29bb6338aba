"""What MongoDB says of the watched tasks, read in few queries."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from pymongo.errors import PyMongoError

from core.documents import Task
from core.errors import Unavailable
from core.events import Cursor
from core.grouping import GroupCommit
from core.states import TaskStatus

T = TypeVar("T")
READ_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 2 * READ_TIMEOUT_S
"""Waiting for the query before and the own one."""
WHOLE_LIMIT = 64
"""Whole documents in one query: an input may be megabytes."""
MOVING_LIMIT = 256
HEAVY = ("input", "checkpoint")
"""Fields that are read once or not at all: the input never changes, the checkpoint is the worker's."""
_NONE_SET: set[str] = set()
POSITION = {"epoch": 1, "n": 1, "status": 1}


class Position(NamedTuple):
    """Where a stored task stands."""

    cursor: Cursor
    status: TaskStatus

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> "Position":
        """Return where a document stands that has at least the fields of POSITION."""
        return cls(Cursor(fields["epoch"], fields["n"]), TaskStatus(fields["status"]))

    @classmethod
    def of_task(cls, task: Task) -> "Position":
        """Return where a task stands that was read or folded."""
        return cls(task.cursor, task.status)


class Reread(NamedTuple):
    """What a second look found: documents that are later than the known ones, and ids of which there are none."""

    later: dict[UUID, Task]
    gone: set[UUID]


class StoredTasks:
    """Reads task documents. Every method raises Unavailable if MongoDB does not answer."""

    def __init__(self) -> None:
        self._whole = GroupCommit(_in_order(_read_whole), name="relay: read tasks", limit=WHOLE_LIMIT)
        self._moving = GroupCommit(_in_order(_read_moving), name="relay: re-read tasks", limit=MOVING_LIMIT)

    async def aclose(self) -> None:
        """Wait until what is under way is answered, or is out of time."""
        await self._whole.aclose()
        await self._moving.aclose()

    async def read(self, task_id: UUID) -> Task | None:
        """Return the whole document, None if there is none."""
        return await or_unavailable(self._whole.submit(task_id))

    async def reread(self, known: Task) -> Task | None:
        """Return the document of a known task as it is now, None if it is gone. Does not fetch the input again."""
        fields = await or_unavailable(self._moving.submit(known.id))
        return None if fields is None else _completed(known, fields)

    async def reread_all(self, known: Sequence[Task]) -> "Reread":
        """Return what of these tasks has moved on or gone, by one query."""
        found = await or_unavailable(_read_moving([task.id for task in known]))
        return Reread(
            later={task.id: _completed(task, found[task.id]) for task in known if _is_later(found.get(task.id), task)},
            gone={task.id for task in known if task.id not in found},
        )

    async def positions(self, task_ids: Iterable[UUID]) -> dict[UUID, Position]:
        """Return where these tasks stand, by one query of three fields; those that are gone are missing."""
        return await or_unavailable(_read_positions(list(task_ids)))


def _in_order(
    read: Callable[[list[UUID]], Awaitable[Mapping[UUID, T]]],
) -> Callable[[list[UUID]], Awaitable[list[T | None]]]:
    async def in_order(task_ids: list[UUID]) -> list[T | None]:
        async with asyncio.timeout(READ_TIMEOUT_S):
            found = await read(task_ids)
        return [found.get(task_id) for task_id in task_ids]

    return in_order


async def _read_whole(task_ids: list[UUID]) -> Mapping[UUID, Task]:
    return {task.id: _lightened(task) async for task in Task.find({"_id": {"$in": task_ids}})}


async def _read_moving(task_ids: list[UUID]) -> Mapping[UUID, dict[str, Any]]:
    found = Task.get_pymongo_collection().find({"_id": {"$in": task_ids}}, dict.fromkeys(HEAVY, 0))
    return {fields["_id"]: fields async for fields in found}


async def _read_positions(task_ids: list[UUID]) -> dict[UUID, Position]:
    found = Task.get_pymongo_collection().find({"_id": {"$in": task_ids}}, POSITION)
    return {fields["_id"]: Position.of(fields) async for fields in found}


def _completed(known: Task, fields: dict[str, Any]) -> Task:
    return _lightened(Task.model_validate({**fields, "input": known.input}))


def _lightened(task: Task) -> Task:
    """Return the task without the names of the fields that were set, which nobody asks for: of 9 KB they take 4."""
    for model in (task, task.progress, *task.timeline):
        object.__setattr__(model, "__pydantic_fields_set__", _NONE_SET)
    return task


def _is_later(fields: dict[str, Any] | None, known: Task) -> bool:
    if fields is None:
        return False
    return (fields["epoch"], fields["n"]) > known.cursor or TaskStatus(fields["status"]).is_terminal


async def or_unavailable(reading: Awaitable[T]) -> T:
    """Return what was read. Raises Unavailable if MongoDB does not answer in time."""
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            return await reading
    except (PyMongoError, TimeoutError, OSError) as exc:
        raise Unavailable("MongoDB") from exc
