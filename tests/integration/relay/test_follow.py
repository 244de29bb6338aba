"""Following tasks on a real MongoDB-protocol server and a real Valkey."""

import asyncio
from contextlib import aclosing
from itertools import pairwise
from typing import Any

import pytest
from redis.asyncio import Redis

from core.documents import Task
from core.errors import BadUserInput, NotFound
from core.events import Cursor
from core.ids import new_id
from core.settings import Settings
from core.states import Delivery, TaskStatus
from core.streams import EventStreams
from gateway.relay import Relay, Snapshot
from tests.integration.relay.conftest import Submit, eventually
from tests.integration.relay.writer import Writer


async def followed(relay: Relay, writer: Writer, max_hz: float = 60.0) -> list[Snapshot]:
    """Return all that a subscriber of the task gets."""
    async with aclosing(relay.follow(writer.task_id, max_hz=max_hz)) as snapshots:
        return [snapshot async for snapshot in snapshots]


def check(snapshots: list[Snapshot]) -> None:
    """Check what every subscriber is promised."""
    cursors = [snapshot.task.cursor for snapshot in snapshots]
    assert all(earlier < later for earlier, later in pairwise(cursors)), cursors
    assert [snapshot.task.status.is_terminal for snapshot in snapshots] == [False] * (len(snapshots) - 1) + [True]
    for earlier, later in pairwise(snapshot.task for snapshot in snapshots):
        assert later.attempt > earlier.attempt or later.progress.current >= earlier.progress.current


async def test_a_task_is_followed_from_its_submit_to_its_end(relay: Relay, submit: Submit) -> None:
    writer = await submit()
    async with aclosing(relay.follow(writer.task_id)) as snapshots:
        first = await anext(snapshots)
        assert (first.task.status, first.task.cursor) == (TaskStatus.PENDING, Cursor(1, 1))
        assert first.delivery is Delivery.LIVE
        await writer.queue()
        assert (await anext(snapshots)).task.status is TaskStatus.QUEUED
        await writer.claim()
        running = (await anext(snapshots)).task
        assert (running.status, running.attempt, running.cursor) == (TaskStatus.RUNNING, 1, Cursor(2, 1))
        assert running.started_at is not None
        await writer.progress(7)
        moved = (await anext(snapshots)).task
        assert (moved.progress.current, moved.progress.total, moved.cursor) == (7, 100, Cursor(2, 2))
        await writer.succeed()
        ended = await anext(snapshots)
        assert await anext(snapshots, None) is None
    assert ended.task == await Task.get(writer.task_id)
    assert ended.task.result == {"totalProcessed": 100}
    assert ended.delivery is Delivery.LIVE


async def test_an_unknown_id_is_an_error_before_anything_else(relay: Relay, redis: Redis, settings: Settings) -> None:
    task_id = new_id()
    with pytest.raises(NotFound):
        await anext(relay.follow(task_id))
    assert await redis.pubsub_channels(f"{settings.namespace}:events:*") == []


@pytest.mark.parametrize("max_hz", [0, -1, 60.5, float("nan"), float("inf")])
async def test_a_rate_out_of_range_is_refused(relay: Relay, max_hz: float) -> None:
    with pytest.raises(BadUserInput, match="maxHz"):
        relay.follow(new_id(), max_hz=max_hz)


async def test_an_ended_task_gives_one_snapshot(relay: Relay, submit: Submit) -> None:
    writer = await submit()
    await writer.claim()
    await writer.fail()
    [ended] = await followed(relay, writer)
    assert ended.delivery is Delivery.LIVE
    assert ended.task.status is TaskStatus.FAILED
    assert ended.task.error is not None
    assert ended.task.error.code == "BROKEN"


async def test_a_late_subscriber_gets_progress_that_only_the_stream_knows(relay: Relay, submit: Submit) -> None:
    writer = await submit()
    await writer.claim()
    for current in range(10):
        await writer.progress(current)
    async with aclosing(relay.follow(writer.task_id)) as snapshots:
        first = (await anext(snapshots)).task
    assert (first.progress.current, first.cursor) == (9, Cursor(2, 11))


async def test_event_between_subscribe_and_snapshot_is_not_lost(
    relay: Relay, submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Progress moves on at every point of the join: before and after each read, and while each is under way."""
    writer = await submit()
    await writer.claim()
    read_many, find = EventStreams.read_many, Task.find

    async def read_many_with_news(self: EventStreams, wanted: list[object]) -> object:
        await writer.progress(3)
        found = await read_many(self, wanted)  # type: ignore[arg-type]
        await writer.progress(4)
        return found

    def find_with_news(*args: Any) -> object:
        news.append(asyncio.ensure_future(writer.progress(2)))
        return find(*args)

    news: list[asyncio.Future[None]] = []
    monkeypatch.setattr(EventStreams, "read_many", read_many_with_news)
    monkeypatch.setattr(Task, "find", find_with_news)
    async with aclosing(relay.follow(writer.task_id)) as snapshots:
        seen = [(await anext(snapshots)).task]
        while seen[-1].progress.current < 4:
            seen.append((await anext(snapshots)).task)
    await asyncio.gather(*news)
    assert seen[-1].cursor == Cursor(2, 4)


async def test_many_subscribers_of_many_tasks_all_see_one_end(relay: Relay, submit: Submit) -> None:
    writers = [await submit() for _ in range(50)]
    subscribers = [asyncio.create_task(followed(relay, writer)) for writer in writers for _ in range(4)]

    async def run(writer: Writer) -> None:
        await writer.queue()
        await writer.claim()
        for current in range(0, 101, 10):
            await writer.progress(current)
        await writer.succeed()

    await eventually(lambda: relay.subscribers == 200)
    await asyncio.gather(*(run(writer) for writer in writers))
    for snapshots in await asyncio.gather(*subscribers):
        check(snapshots)


async def test_two_replicas_see_the_same(relay: Relay, redis: Redis, settings: Settings, submit: Submit) -> None:
    writer = await submit()
    async with (
        Relay(redis, EventStreams(redis, settings.namespace), settings.namespace) as other,
        aclosing(relay.follow(writer.task_id)) as here,
        aclosing(other.follow(writer.task_id)) as there,
    ):
        assert await anext(here) == await anext(there)
        for step in (writer.queue, writer.claim, writer.requeue, writer.claim, writer.succeed):
            await step()
            assert await anext(here) == await anext(there)
        assert await anext(here, None) is None
        assert await anext(there, None) is None


async def test_progress_is_limited_to_the_rate_and_states_are_not(relay: Relay, submit: Submit) -> None:
    writer = await submit()
    await writer.claim()
    loop = asyncio.get_running_loop()
    async with aclosing(relay.follow(writer.task_id, max_hz=2)) as snapshots:
        await anext(snapshots)
        started = loop.time()
        for current in range(50):
            await writer.progress(current)
        moved = (await anext(snapshots)).task
        assert loop.time() - started >= 0.45
        assert moved.progress.current == 49
        started = loop.time()
        await writer.requeue()
        assert (await anext(snapshots)).task.status is TaskStatus.QUEUED
        await writer.claim()
        assert (await anext(snapshots)).task.status is TaskStatus.RUNNING
        await writer.succeed()
        assert (await anext(snapshots)).task.status is TaskStatus.SUCCEEDED
        assert loop.time() - started < 0.45


async def test_one_connection_serves_all(relay: Relay, redis: Redis, settings: Settings, submit: Submit) -> None:
    writers = [await submit() for _ in range(5)]
    before = [client for client in await redis.client_list() if int(client["sub"])]
    followers = [relay.follow(writer.task_id) for writer in writers for _ in range(3)]
    for follower in followers:
        await anext(follower)
    after = [client for client in await redis.client_list() if int(client["sub"])]
    assert len(after) == len(before)
    assert (relay.watched, relay.subscribers) == (5, 15)

    async def channels() -> int:
        return len(await redis.pubsub_channels(f"{settings.namespace}:events:*"))

    assert await channels() == 5
    for follower in followers:
        await follower.aclose()
    assert (relay.watched, relay.subscribers) == (0, 0)

    async def unsubscribed() -> bool:
        return await channels() == 0

    await eventually(unsubscribed)


async def test_a_subscriber_cancelled_at_any_point_of_its_join_leaves_nothing(relay: Relay, submit: Submit) -> None:
    writer = await submit()
    for steps in range(12):
        joining = asyncio.create_task(followed(relay, writer))
        for _ in range(steps):
            await asyncio.sleep(0.001)
        joining.cancel()
        with pytest.raises(asyncio.CancelledError):
            await joining
        assert (relay.watched, relay.subscribers) == (0, 0)
    async with aclosing(relay.follow(writer.task_id)) as snapshots:
        assert (await anext(snapshots)).delivery is Delivery.LIVE


async def test_one_of_two_joining_subscribers_may_be_cancelled(relay: Relay, submit: Submit) -> None:
    writer = await submit()
    first = asyncio.create_task(followed(relay, writer))
    second = asyncio.create_task(followed(relay, writer))
    await eventually(lambda: relay.subscribers == 2)
    first.cancel()
    await writer.claim()
    await writer.succeed()
    check(await second)


async def test_leaving_the_relay_ends_its_followers(redis: Redis, settings: Settings, submit: Submit) -> None:
    writer = await submit()
    async with Relay(redis, EventStreams(redis, settings.namespace), settings.namespace) as relay:
        waiting = asyncio.create_task(followed(relay, writer))
        await eventually(lambda: relay.subscribers == 1)
    with pytest.raises(Exception, match="This replica does not answer"):
        await waiting
    assert (relay.watched, relay.subscribers) == (0, 0)
