"""How many tasks are read from MongoDB, and who waits for whom."""

import asyncio
from collections.abc import Mapping
from uuid import UUID

import pytest
from redis.asyncio import Redis

from core.connections import MongoClient
from core.documents import Task
from core.errors import Unavailable
from core.events import Cursor
from core.ids import new_id
from core.settings import Settings
from core.states import TaskStatus
from gateway.relay import stored
from gateway.relay.stored import Position, StoredTasks
from tests.integration.relay.writer import Writer

READERS = 10


async def test_what_has_moved_ended_or_gone_is_found_among_many(
    mongo: MongoClient, redis: Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "COMPARED_AT_ONCE", 2)
    still, moving, ended = [await Writer.submit(redis, settings.namespace) for _ in range(3)]
    known = {one.task_id: Cursor(1, 1) for one in (still, moving, ended)}
    gone = new_id()
    known[gone] = Cursor(1, 1)
    await moving.claim()
    await ended.claim()
    await ended.succeed()
    task = await Task.get(ended.task_id)
    assert task is not None
    moved = await StoredTasks().moved(known | {ended.task_id: task.cursor})
    assert moved.gone == {gone}
    assert moved.later == {
        moving.task_id: Position(Cursor(2, 1), TaskStatus.RUNNING),
        ended.task_id: Position(task.cursor, TaskStatus.SUCCEEDED),
    }, "an end is told however much is known of the task"


async def _none(task_ids: list[UUID]) -> Mapping[UUID, Task]:
    await asyncio.sleep(0.05)
    return {}


async def test_whoever_stands_far_back_in_the_line_waits_as_long_as_mongodb_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for limit, value in (("WHOLE_LIMIT", 1), ("READ_TIMEOUT_S", 0.2), ("ANSWER_TIMEOUT_S", 0.2)):
        monkeypatch.setattr(stored, limit, value)
    monkeypatch.setattr(stored, "_read_whole", _none)
    tasks = StoredTasks()
    async with asyncio.timeout(5):
        assert await asyncio.gather(*(tasks.read(new_id()) for _ in range(READERS))) == [None] * READERS
    await tasks.aclose()


async def test_an_answer_that_a_busy_loop_was_late_for_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "READ_TIMEOUT_S", 0.2)
    asked = 0

    async def late(task_ids: list[UUID]) -> Mapping[UUID, Task]:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0.3 if asked == 1 else 0)
        return {}

    monkeypatch.setattr(stored, "_read_whole", late)
    tasks = StoredTasks()
    assert await tasks.read(new_id()) is None
    assert asked == 2
    await tasks.aclose()


async def _never(task_ids: list[UUID]) -> Mapping[UUID, Task]:
    await asyncio.Event().wait()
    return {}


async def test_nobody_in_the_line_waits_for_what_is_not_answered_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    for limit, value in (("WHOLE_LIMIT", 1), ("READ_TIMEOUT_S", 0.2)):
        monkeypatch.setattr(stored, limit, value)
    monkeypatch.setattr(stored, "_read_whole", _never)
    tasks = StoredTasks()
    began = asyncio.get_running_loop().time()
    async with asyncio.timeout(5):
        found = await asyncio.gather(*(tasks.read(new_id()) for _ in range(READERS)), return_exceptions=True)
    assert all(isinstance(one, Unavailable) for one in found)
    assert asyncio.get_running_loop().time() - began < 0.2 * READERS / 2
    await tasks.aclose()
