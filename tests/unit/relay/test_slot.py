"""What a follower is handed, and when."""

import asyncio

import pytest

from core.errors import NotFound
from core.events import Cursor
from core.states import Delivery, TaskStatus
from gateway.relay.fold import fold
from gateway.relay.latest import Follower
from gateway.relay.watch import Watch
from tests.unit.relay.tasks import progress, state, task

SLOW_HZ = 0.001


def running_watch() -> Watch:
    known = task(status=TaskStatus.RUNNING, attempt=1, epoch=2, n=1)
    watch = Watch(known.id, "channel")
    watch.take(known)
    return watch


def joined(watch: Watch, max_hz: float = SLOW_HZ) -> Follower:
    follower = Follower(max_hz)
    watch.followers.add(follower)
    return follower


async def test_a_slow_reader_is_handed_only_the_latest() -> None:
    watch = running_watch()
    follower = joined(watch, max_hz=60)
    await follower.next(watch)
    for n in range(2, 1000):
        assert watch.hear(Cursor(2, n), progress(n))
    assert (await follower.next(watch)).task.progress.current == 999


async def test_followers_share_one_document() -> None:
    watch = running_watch()
    followers = [joined(watch) for _ in range(3)]
    first, *others = [await follower.next(watch) for follower in followers]
    assert all(other is first for other in others)


async def test_progress_waits_for_its_turn_and_a_state_does_not() -> None:
    watch = running_watch()
    follower = joined(watch)
    await follower.next(watch)
    waiting = asyncio.create_task(follower.next(watch))
    await asyncio.sleep(0)
    watch.hear(Cursor(2, 2), progress(5))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    watch.hear(Cursor(2, 3), state(TaskStatus.CANCELLING))
    assert (await waiting).task.status is TaskStatus.CANCELLING


async def test_the_first_progress_after_a_pause_comes_at_once() -> None:
    watch = running_watch()
    follower = joined(watch, max_hz=50)
    await follower.next(watch)
    await asyncio.sleep(0.03)
    waiting = asyncio.create_task(follower.next(watch))
    await asyncio.sleep(0)
    watch.hear(Cursor(2, 2), progress(5))
    async with asyncio.timeout(0.01):
        await waiting


async def test_the_end_comes_at_once_and_its_document_is_the_stored_one() -> None:
    watch = running_watch()
    follower = joined(watch)
    await follower.next(watch)
    waiting = asyncio.create_task(follower.next(watch))
    await asyncio.sleep(0)
    end = (Cursor(2, 2), state(TaskStatus.SUCCEEDED))
    assert not watch.hear(*end), "an end is never folded without its document"
    assert watch.needs_document(watch.missed([]))
    watch.catch_up(fold(watch.task, *end).model_copy(update={"result": {"a": 1}}), watch.missed([]))
    assert (await waiting).task.result == {"a": 1}


async def test_news_by_another_way_is_not_news_of_the_task() -> None:
    watch = running_watch()
    follower = joined(watch, max_hz=60)
    assert (await follower.next(watch)).delivery is Delivery.DEGRADED
    waiting = asyncio.create_task(follower.next(watch))
    watch.set_live(True)
    await asyncio.sleep(0.03)
    assert not waiting.done()
    watch.hear(Cursor(2, 2), progress(1))
    assert (await waiting).delivery is Delivery.LIVE


async def test_a_failure_reaches_who_waits_and_who_comes_later() -> None:
    watch = running_watch()
    follower = joined(watch)
    await follower.next(watch)
    waiting = asyncio.create_task(follower.next(watch))
    await asyncio.sleep(0)
    watch.fail(NotFound("task", watch.task_id))
    with pytest.raises(NotFound):
        await waiting
    with pytest.raises(NotFound):
        await joined(watch).next(watch)


async def test_a_cancelled_wait_can_be_taken_up_again() -> None:
    watch = running_watch()
    follower = joined(watch, max_hz=60)
    await follower.next(watch)
    waiting = asyncio.create_task(follower.next(watch))
    await asyncio.sleep(0)
    waiting.cancel()
    watch.hear(Cursor(2, 2), progress(5))
    assert (await follower.next(watch)).task.progress.current == 5


def test_events_pending_are_bounded_and_what_they_push_out_is_a_hole() -> None:
    watch = running_watch()
    for n in range(3, 1003):
        watch.pending.append((Cursor(2, n), progress(n)))
    assert len(watch.pending) <= 64
    assert watch.needs_document(watch.missed([]))
    assert not watch.needs_document(watch.missed([(Cursor(2, n), progress(n)) for n in range(2, 950)]))
