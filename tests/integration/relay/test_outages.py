"""What followers see while Redis or MongoDB is away, and when an event is lost."""

import asyncio
import signal
from collections.abc import Callable
from contextlib import aclosing
from uuid import UUID

import pytest
from redis.asyncio import Redis

from core.documents import Task
from core.errors import NotFound
from core.states import Delivery, TaskStatus
from gateway.relay import Relay, Snapshot
from tests.integration.relay.conftest import Server, Submit, eventually
from tests.integration.relay.test_follow import check, followed


class Seen(list[Snapshot]):
    """What a follower got so far."""

    async def collect(self, relay: Relay, task_id: UUID, max_hz: float = 60.0) -> None:
        """Follow the task to its end."""
        async with aclosing(relay.follow(task_id, max_hz=max_hz)) as snapshots:
            async for snapshot in snapshots:
                self.append(snapshot)

    async def another(self, relay: Relay, task_id: UUID) -> Snapshot:
        """Return a new subscriber's first snapshot."""
        async with aclosing(relay.follow(task_id)) as snapshots:
            return await anext(snapshots)

    async def until(self, condition: Callable[[Snapshot], bool], within_s: float = 8.0) -> None:
        """Wait until the latest snapshot is such."""
        await eventually(lambda: bool(self) and condition(self[-1]), within_s)


async def until_delivery(relay: Relay, delivery: Delivery) -> None:
    """Wait until news reaches the replica in this way."""
    await eventually(lambda: relay.delivery is delivery)


async def test_a_redis_restarted_empty_is_degraded_then_live_with_one_end(
    own_relay: Relay, valkey: Server, own_submit: Submit
) -> None:
    writer = await own_submit()
    await writer.claim()
    seen = Seen()
    async with asyncio.TaskGroup() as group:
        group.create_task(seen.collect(own_relay, writer.task_id))
        await writer.progress(1)
        await seen.until(lambda snapshot: snapshot.task.progress.current == 1 and snapshot.delivery is Delivery.LIVE)

        await valkey.kill()
        await until_delivery(own_relay, Delivery.DEGRADED)
        writer.progressed(5)
        await writer.save_progress()
        await seen.until(lambda snapshot: snapshot.task.progress.current == 5)
        assert {snapshot.delivery for snapshot in seen[-1:]} == {Delivery.DEGRADED}
        late = await seen.another(own_relay, writer.task_id)
        assert (late.task.progress.current, late.delivery) == (5, Delivery.DEGRADED)

        await valkey.start()
        await until_delivery(own_relay, Delivery.LIVE)
        await writer.progress(6)
        await seen.until(lambda snapshot: snapshot.task.progress.current == 6)
        await writer.progress(7)
        await seen.until(lambda snapshot: snapshot.task.progress.current == 7)
        assert seen[-1].delivery is Delivery.LIVE
        await writer.succeed()
    check(seen)


async def test_an_end_during_an_outage_is_told_once(own_relay: Relay, valkey: Server, own_submit: Submit) -> None:
    writers = [await own_submit() for _ in range(10)]
    for writer in writers:
        await writer.claim()
    subscribers = [asyncio.create_task(followed(own_relay, writer)) for writer in writers for _ in range(3)]
    await eventually(lambda: own_relay.subscribers == 30)
    await valkey.kill()
    ends = [await writer.store(writer.succeeded()) for writer in writers]
    for snapshots in await asyncio.gather(*subscribers[:15]):
        check(snapshots)
        assert snapshots[-1].delivery is Delivery.DEGRADED
    await valkey.start()
    for writer, end in zip(writers, ends, strict=True):
        await writer.tell(end)
    for snapshots in await asyncio.gather(*subscribers[15:]):
        check(snapshots)


async def test_a_redis_that_says_nothing_is_noticed(own_relay: Relay, valkey: Server, own_submit: Submit) -> None:
    writer = await own_submit()
    await writer.claim()
    seen = Seen()
    async with asyncio.TaskGroup() as group:
        group.create_task(seen.collect(own_relay, writer.task_id))
        await seen.until(lambda snapshot: snapshot.delivery is Delivery.LIVE)
        valkey.signal(signal.SIGSTOP)
        try:
            writer.progressed(5)
            await writer.save_progress()
            await seen.until(lambda snapshot: snapshot.task.progress.current == 5)
            await until_delivery(own_relay, Delivery.DEGRADED)
            assert (await seen.another(own_relay, writer.task_id)).task.progress.current == 5
        finally:
            valkey.signal(signal.SIGCONT)
        await until_delivery(own_relay, Delivery.LIVE)
        await writer.succeed()
    check(seen)


async def test_a_connection_closed_behind_its_back_loses_nothing(relay: Relay, redis: Redis, submit: Submit) -> None:
    writer = await submit()
    await writer.claim()
    seen = Seen()
    async with asyncio.TaskGroup() as group:
        group.create_task(seen.collect(relay, writer.task_id))
        await seen.until(lambda snapshot: snapshot.delivery is Delivery.LIVE)
        for current in range(10):
            await redis.client_kill_filter(_type="pubsub")
            await writer.progress(current)
            await seen.until(lambda snapshot: snapshot.task.progress.current == current)  # noqa: B023
        await writer.succeed()
    check(seen)


async def test_an_event_that_was_stored_but_never_told_arrives_all_the_same(relay: Relay, submit: Submit) -> None:
    writer = await submit()
    seen = Seen()
    async with asyncio.TaskGroup() as group:
        group.create_task(seen.collect(relay, writer.task_id))
        await seen.until(lambda snapshot: snapshot.delivery is Delivery.LIVE)
        await writer.store(writer.claimed())
        await seen.until(lambda snapshot: snapshot.task.status is TaskStatus.RUNNING)
        await writer.store(writer.succeeded())
    check(seen)
    assert {snapshot.delivery for snapshot in seen} == {Delivery.LIVE}


async def test_what_a_fenced_writer_says_is_not_told(relay: Relay, redis: Redis, submit: Submit) -> None:
    """After a wipe the stream alone can't tell; the follower's epoch does."""
    writer = await submit()
    await writer.claim()
    zombie = writer.progressed(99)
    await writer.requeue()
    seen = Seen()
    async with asyncio.TaskGroup() as group:
        group.create_task(seen.collect(relay, writer.task_id))
        await seen.until(lambda snapshot: snapshot.task.status is TaskStatus.QUEUED)
        await redis.delete(writer.stream)
        assert await writer.append(*zombie)
        await writer.claim()
        await writer.progress(3)
        await seen.until(lambda snapshot: snapshot.task.progress.current == 3)
        await writer.succeed()
    check(seen)
    assert 99 not in {snapshot.task.progress.current for snapshot in seen}


async def test_a_hole_is_filled_from_the_stream(relay: Relay, redis: Redis, submit: Submit) -> None:
    """Events that stand in the stream but were not heard."""
    writer = await submit()
    await writer.claim()
    seen = Seen()
    async with asyncio.TaskGroup() as group:
        group.create_task(seen.collect(relay, writer.task_id))
        await seen.until(lambda snapshot: snapshot.task.status is TaskStatus.RUNNING)
        silent = await writer.store(writer.cancelling())
        await writer.put(silent)
        await writer.progress(8)
        await seen.until(lambda snapshot: snapshot.task.progress.current == 8)
        assert seen[-1].task.status is TaskStatus.CANCELLING
        assert seen[-1].task.timeline == (await stored(writer.task_id)).timeline
        await writer.succeed()
    check(seen)


async def stored(task_id: UUID) -> Task:
    """Return the document as MongoDB has it."""
    task = await Task.get(task_id)
    assert task is not None
    return task


async def test_a_hole_that_the_stream_lost_is_filled_from_the_document(
    relay: Relay, redis: Redis, submit: Submit
) -> None:
    writer = await submit()
    await writer.claim()
    seen = Seen()
    async with asyncio.TaskGroup() as group:
        group.create_task(seen.collect(relay, writer.task_id))
        await seen.until(lambda snapshot: snapshot.task.status is TaskStatus.RUNNING)
        await writer.store(writer.cancelling())
        await redis.delete(writer.stream)
        await writer.progress(8)
        await seen.until(lambda snapshot: snapshot.task.progress.current == 8, within_s=1.0)
        assert seen[-1].task.status is TaskStatus.CANCELLING
        await writer.succeed()
    check(seen)


async def test_an_unreadable_event_is_left_out(relay: Relay, redis: Redis, submit: Submit) -> None:
    writer = await submit()
    await writer.claim()
    seen = Seen()
    async with asyncio.TaskGroup() as group:
        group.create_task(seen.collect(relay, writer.task_id))
        await seen.until(lambda snapshot: snapshot.task.status is TaskStatus.RUNNING)
        await redis.publish(writer.stream, b"not an event")
        await redis.publish(writer.stream, b'2-2 {"type":"from the future"}')
        await writer.progress(8)
        await seen.until(lambda snapshot: snapshot.task.progress.current == 8)
        await writer.succeed()
    check(seen)


async def test_a_task_deleted_while_followed_is_an_error(relay: Relay, submit: Submit) -> None:
    writer = await submit()
    following = asyncio.create_task(followed(relay, writer))
    await eventually(lambda: relay.subscribers == 1)
    await (await stored(writer.task_id)).delete()
    with pytest.raises(NotFound):
        await following
