"""What a board's subscriber is handed, and when."""

import asyncio
from collections.abc import Iterable

import pytest

from core.documents import Task
from core.errors import Unavailable
from core.states import Delivery, TaskStatus
from gateway.relay import board_slot
from gateway.relay.board_filter import BoardFilter
from gateway.relay.board_slot import FellBehind, Slot
from gateway.relay.snapshot import Snapshot
from tests.unit.relay.tasks import task

SLOW_HZ = 0.001
EVERYTHING = BoardFilter([])


def nothing() -> Iterable[TaskStatus]:
    return ()


def begun(max_hz: float = SLOW_HZ, filter_: BoardFilter = EVERYTHING) -> Slot:
    slot = Slot(filter_, max_hz)
    slot.begin()
    return slot


def offer(slot: Slot, moved: Task) -> None:
    slot.offer(Snapshot(moved, Delivery.LIVE), nothing)


def at(known: Task, n: int) -> Task:
    moved: Task = known.model_copy(update={"n": n})
    return moved


async def handed(slot: Slot, count: int) -> list[Task]:
    async with asyncio.timeout(1):
        return [(await slot.next()).task for _ in range(count)]


async def waits(slot: Slot) -> bool:
    """Return whether nothing is handed out at present."""
    waiting = asyncio.create_task(slot.next())
    done, _ = await asyncio.wait([waiting], timeout=0.05)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    return not done


async def test_a_round_tells_each_task_once_as_it_is_by_then() -> None:
    slot = begun()
    first, second = task(), task()
    for n in range(2, 100):
        offer(slot, at(first, n))
        offer(slot, at(second, n))
    assert len(slot) == 2
    assert await handed(slot, 2) == [at(first, 99), at(second, 99)]


async def test_a_second_round_waits_for_its_time() -> None:
    slot = begun(max_hz=5)
    known = task()
    loop = asyncio.get_running_loop()
    offer(slot, known)
    await handed(slot, 1)
    began = loop.time()
    offer(slot, at(known, 2))
    assert await waits(slot)
    assert (await handed(slot, 1))[0].n == 2
    assert 0.15 < loop.time() - began < 0.5


async def test_what_moves_while_a_round_is_read_is_told_as_it_is_in_that_round() -> None:
    slot = begun()
    first, second = task(), task()
    offer(slot, first)
    offer(slot, second)
    await handed(slot, 1)
    offer(slot, at(second, 7))
    assert (await handed(slot, 1))[0].n == 7
    offer(slot, at(second, 8))
    assert await waits(slot)


async def test_the_first_round_waits_for_what_changed_before() -> None:
    slot = Slot(EVERYTHING, 60)
    known = task()
    offer(slot, at(known, 5))
    assert await waits(slot)
    offer(slot, at(known, 4))
    slot.begin()
    assert [moved.n for moved in await handed(slot, 1)] == [5]


async def test_what_was_told_before_the_introduction_is_not_told_by_it_again() -> None:
    slot = begun(60)
    running, other = at(task(), 5), task()
    offer(slot, running)
    assert await handed(slot, 1) == [running]
    offer(slot, running)
    offer(slot, other)
    assert await handed(slot, 1) == [other]
    slot.introduced()
    offer(slot, running)
    assert await handed(slot, 1) == [running]


async def test_too_many_waiting_tasks_end_it_and_free_their_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board_slot, "WAITING_LIMIT", 10)
    monkeypatch.setattr(board_slot, "CROWDED", 100)
    slot = begun()
    offer(slot, task())
    await handed(slot, 1)
    for _ in range(10):
        offer(slot, task())
    assert len(slot) == 10
    offer(slot, task())
    assert len(slot) == 0
    offer(slot, task())
    assert len(slot) == 0
    for _ in range(2):
        with pytest.raises(FellBehind) as failed:
            await slot.next()
    assert failed.value.extensions == {"code": "FELL_BEHIND"}


async def test_a_crowd_is_told_before_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board_slot, "CROWDED", 3)
    slot = begun()
    offer(slot, task())
    await handed(slot, 1)
    for _ in range(2):
        offer(slot, task())
    assert slot.roomy.is_set()
    assert await waits(slot)
    offer(slot, task())
    assert not slot.roomy.is_set()
    await handed(slot, 1)
    assert slot.roomy.is_set()
    await handed(slot, 2)


async def test_a_waiting_subscriber_hears_of_a_failure_at_once() -> None:
    slot = begun()
    offer(slot, task())
    await handed(slot, 1)
    offer(slot, task())
    waiting = asyncio.create_task(slot.next())
    await asyncio.sleep(0)
    slot.fail(Unavailable("This replica"))
    with pytest.raises(Unavailable):
        await asyncio.wait_for(waiting, 1)


async def test_only_what_the_filter_tells_of_is_kept() -> None:
    slot = begun(filter_=BoardFilter([{"status": {"$in": ["RUNNING"]}}, {"owner": "local"}]))
    offer(slot, task(status=TaskStatus.QUEUED))
    offer(slot, task(status=TaskStatus.RUNNING, owner="else"))
    assert len(slot) == 0
    left = task(status=TaskStatus.FAILED)
    slot.offer(Snapshot(left, Delivery.LIVE), lambda: [TaskStatus.QUEUED, TaskStatus.RUNNING])
    assert await handed(slot, 1) == [left]


def test_an_unknown_operator_is_refused() -> None:
    with pytest.raises(KeyError):
        BoardFilter([{"kind": {"$regex": "a"}}])
