"""What MongoDB says of the watched tasks, read in few queries."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from bson import decode_iter
from pymongo.errors import PyMongoError

from core.documents import Task
from core.errors import Unavailable
from core.events import Cursor
from core.grouping import GroupCommit
from core.states import TERMINAL, TaskStatus

T = TypeVar("T")
READ_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 2 * READ_TIMEOUT_S
"""Of a query that nobody waits for in line."""
AWAY = (PyMongoError, TimeoutError, OSError)
"""What a read ends with where MongoDB does not answer."""
WHOLE_LIMIT = 64
"""Whole documents in one query: an input may be megabytes."""
MOVING_LIMIT = 256
COMPARED_AT_ONCE = 500
"""Positions in one query: others have their turn of the event loop between two of them."""
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


class Moved(NamedTuple):
    """Which tasks stand further than at the cursors known of them, or have ended, and which there are none of."""

    later: dict[UUID, Position]
    gone: set[UUID]


class StoredTasks:
    """Reads task documents. Every method raises Unavailable if MongoDB does not answer.

    Where many ask at the same moment, the last of them wait as long as MongoDB goes on answering: a query has a limit
    of time, the line before it has none. Once one is not answered, nobody in the line is kept waiting for the same.
    """

    def __init__(self) -> None:
        self._whole = GroupCommit(_in_order(_read_whole), name="relay: read tasks", limit=WHOLE_LIMIT, hopeless=AWAY)
        self._moving = GroupCommit(
            _in_order(_read_moving), name="relay: re-read tasks", limit=MOVING_LIMIT, hopeless=AWAY
        )

    async def aclose(self) -> None:
        """Wait until what is under way is answered, or is out of time."""
        await self._whole.aclose()
        await self._moving.aclose()

    async def read(self, task_id: UUID) -> Task | None:
        """Return the whole document, None if there is none."""
        with unavailable_if_away():
            return await self._whole.submit(task_id)

    async def reread(self, known: Task) -> Task | None:
        """Return the document of a known task as it is now, None if it is gone. Does not fetch the input again."""
        with unavailable_if_away():
            fields = await self._moving.submit(known.id)
        return None if fields is None else _completed(known, fields)

    async def reread_all(self, known: Sequence[Task]) -> Reread:
        """Return what of these tasks has moved on or gone."""
        reread = Reread({}, set())
        for first in range(0, len(known), MOVING_LIMIT):
            some = known[first : first + MOVING_LIMIT]
            found = await or_unavailable(_read_moving([task.id for task in some]))
            reread.later.update((task.id, _completed(task, found[task.id])) for task in some if task.id in found)
            reread.gone.update(task.id for task in some if task.id not in found)
        return reread

    async def moved(self, known: Mapping[UUID, Cursor]) -> Moved:
        """Return which of these tasks have moved on, ended or gone, by queries of three fields."""
        moved, task_ids = Moved({}, set()), list(known)
        for first in range(0, len(task_ids), COMPARED_AT_ONCE):
            await or_unavailable(_compare(task_ids[first : first + COMPARED_AT_ONCE], known, moved))
        return moved


def _in_order(
    read: Callable[[list[UUID]], Awaitable[Mapping[UUID, T]]],
) -> Callable[[list[UUID]], Awaitable[list[T | None]]]:
    async def in_time(task_ids: list[UUID]) -> Mapping[UUID, T]:
        async with asyncio.timeout(READ_TIMEOUT_S):
            return await read(task_ids)

    async def in_order(task_ids: list[UUID]) -> list[T | None]:
        try:
            found = await in_time(task_ids)
        except AWAY:  # An event loop that was held up meets the end of the time before the answer that has come.
            found = await in_time(task_ids)
        return [found.get(task_id) for task_id in task_ids]

    return in_order


async def _read_whole(task_ids: list[UUID]) -> Mapping[UUID, Task]:
    return {task.id: _lightened(task) async for task in Task.find({"_id": {"$in": task_ids}})}


async def _read_moving(task_ids: list[UUID]) -> Mapping[UUID, dict[str, Any]]:
    found = Task.get_pymongo_collection().find({"_id": {"$in": task_ids}}, dict.fromkeys(HEAVY, 0))
    return {fields["_id"]: fields async for fields in found}


async def _compare(task_ids: list[UUID], known: Mapping[UUID, Cursor], moved: Moved) -> None:
    """Add what has moved. What MongoDB says is looked at piece by piece, and little of it kept.

    Were all of it there at once, the garbage collector would take it for what stays, and go through all that a replica
    holds: with 10,000 tasks that took as long as the rest of the gateway's work (measured 2026-11-30).
    """
    collection, left = Task.get_pymongo_collection(), set(task_ids)
    async for batch in collection.find_raw_batches({"_id": {"$in": task_ids}}, POSITION):
        for fields in decode_iter(batch, collection.codec_options):
            task_id = fields["_id"]
            left.discard(task_id)
            if _is_later(fields, known[task_id]):
                moved.later[task_id] = Position.of(fields)
    moved.gone.update(left)


def _completed(known: Task, fields: dict[str, Any]) -> Task:
    return _lightened(Task.model_validate({**fields, "input": known.input}))


def _lightened(task: Task) -> Task:
    """Return the task without the names of the fields that were set, which nobody asks for: of 9 KB they take 4."""
    for model in (task, task.progress, *task.timeline):
        object.__setattr__(model, "__pydantic_fields_set__", _NONE_SET)
    return task


def _is_later(fields: Mapping[str, Any], known: Cursor) -> bool:
    return (fields["epoch"], fields["n"]) > known or fields["status"] in TERMINAL


@contextmanager
def unavailable_if_away() -> Iterator[None]:
    """Raise Unavailable where MongoDB does not answer."""
    try:
        yield
    except AWAY as exc:
        raise Unavailable("MongoDB") from exc


async def or_unavailable(reading: Awaitable[T]) -> T:
    """Return what was read. Raises Unavailable if MongoDB does not answer in time."""
    with unavailable_if_away():
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            return await reading
