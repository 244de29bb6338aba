"""Following every event of a task when some are trimmed, expired, never told or out of reach."""

import asyncio

import pytest
from redis.asyncio import Redis

from core.documents import Task
from core.errors import NotFound
from core.events import Cursor
from core.states import Delivery
from core.streams import STREAM_LENGTH
from core.transitions import queued
from gateway.relay import Relay
from gateway.relay.history import BEFORE_ALL, RECENT_LIMIT, Gap
from tests.integration.relay.conftest import Server, Submit, eventually
from tests.integration.relay.follower import Seen, check, collected, log_line, word

TRIMMED = 2 * STREAM_LENGTH
"""Events that are more than a stream keeps, which trims by whole nodes."""


async def test_what_was_trimmed_is_a_gap_between_the_states(relay: Relay, submit: Submit) -> None:
    writer = await submit()
    await writer.claim()
    for current in range(TRIMMED):
        await writer.progress(current)
    await writer.succeed()
    seen = await collected(relay, writer.task_id)
    check(seen)
    kept = len(seen) - 5
    assert STREAM_LENGTH - 1 <= kept < TRIMMED
    told = [str(current) for current in range(TRIMMED - kept, TRIMMED)]
    assert seen.words == ["PENDING", "QUEUED", "RUNNING", "gap", *told, "SUCCEEDED"]
    gap = seen[3].event
    assert isinstance(gap, Gap)
    assert (gap.after, gap.before) == (Cursor(2, 1), seen[4].cursor)
    assert await collected(relay, writer.task_id, seen[3].cursor) == seen[4:], "a gap is told of once"


async def test_an_expired_stream_leaves_the_states_and_gaps_where_more_may_have_been(
    relay: Relay, redis: Redis, submit: Submit
) -> None:
    writer = await submit()
    await writer.queue()
    await writer.claim()
    await writer.requeue()
    await writer.claim()
    await writer.store(writer.cancelling())
    await writer.progress(5)
    await writer.succeed()
    await redis.delete(writer.stream)
    seen = await collected(relay, writer.task_id)
    check(seen)
    assert seen.words == [
        *("PENDING", "QUEUED", "RUNNING", "gap", "QUEUED"),
        *("RUNNING", "CANCELLING", "gap", "SUCCEEDED"),
    ]


async def test_a_task_that_said_nothing_has_no_gap_without_its_stream(
    relay: Relay, redis: Redis, submit: Submit
) -> None:
    writer = await submit()
    await writer.claim()
    await writer.succeed()
    await redis.delete(writer.stream)
    assert (await collected(relay, writer.task_id)).words == ["PENDING", "QUEUED", "RUNNING", "SUCCEEDED"]


async def test_an_event_stored_but_never_told_arrives_all_the_same(relay: Relay, submit: Submit) -> None:
    writer, seen = await submit(), Seen()
    async with asyncio.TaskGroup() as group:
        group.create_task(seen.collect(relay, writer.task_id))
        await seen.until("PENDING")
        await writer.store(queued(writer.task_id, 1, by="bridge"))
        await writer.claim()
        await seen.until("RUNNING")
        await writer.progress(1)
        await writer.store(writer.succeeded())
    check(seen)
    assert seen.words == ["PENDING", "QUEUED", "RUNNING", "1", "SUCCEEDED"]


async def test_a_slow_reader_is_told_what_it_missed_and_holds_up_nobody(relay: Relay, submit: Submit) -> None:
    writer = await submit()
    slow = relay.follow_events(writer.task_id, after=BEFORE_ALL, may_see="local".__eq__)
    seen = Seen([await anext(slow)])
    await writer.claim()
    async with asyncio.TaskGroup() as group:
        fast = group.create_task(collected(relay, writer.task_id))
        await eventually(lambda: relay.subscribers == 2)
        [watch] = relay._watches.values()
        assert watch.recent is not None
        most = 0
        for current in range(2 * TRIMMED):
            await writer.progress(current)
            most = max(most, len(watch.recent._events))
        await writer.succeed()
    assert 0 < most <= RECENT_LIMIT
    check(fast.result())
    assert "gap" not in fast.result().words
    seen += [told async for told in slow]
    check(seen)
    assert seen.words[:4] == ["PENDING", "QUEUED", "RUNNING", "gap"]
    assert len(seen) < TRIMMED


async def test_a_follower_cancelled_at_any_point_leaves_nothing(relay: Relay, submit: Submit) -> None:
    writer = await submit()
    for steps in range(12):
        joining = asyncio.create_task(collected(relay, writer.task_id))
        for _ in range(steps):
            await asyncio.sleep(0.001)
        joining.cancel()
        with pytest.raises(asyncio.CancelledError):
            await joining
        assert (relay.watched, relay.subscribers) == (0, 0)


async def test_a_task_deleted_while_followed_is_an_error(relay: Relay, submit: Submit) -> None:
    writer = await submit()
    following = asyncio.create_task(collected(relay, writer.task_id))
    await eventually(lambda: relay.subscribers == 1)
    task = await Task.get(writer.task_id)
    assert task is not None
    await task.delete()
    with pytest.raises(NotFound):
        await following


async def test_while_redis_is_away_events_are_rebuilt_and_what_is_lost_is_a_gap(
    own_relay: Relay, valkey: Server, own_submit: Submit
) -> None:
    writer, seen = await own_submit(), Seen()
    await writer.claim()
    async with asyncio.TaskGroup() as group:
        group.create_task(seen.collect(own_relay, writer.task_id))
        await writer.progress(1)
        await seen.until("1")
        await valkey.kill()
        await eventually(lambda: own_relay.delivery is Delivery.DEGRADED)
        writer.progressed(2)
        writer.progressed(3)
        await writer.save_progress()
        await seen.until("3")
        await writer.store(writer.cancelling())
        await seen.until("CANCELLING")
        assert [(told.delivery, word(told)) for told in seen[-3:]] == [
            (Delivery.DEGRADED, "gap"),
            (Delivery.DEGRADED, "3"),
            (Delivery.DEGRADED, "CANCELLING"),
        ]
        writer.progressed(4)
        await valkey.start()
        await eventually(lambda: own_relay.delivery is Delivery.LIVE)
        await writer.progress(5)
        await seen.until("5")
        await log_line(writer, "back")
        await seen.until("back")
        assert seen[-1].delivery is Delivery.LIVE
        await writer.succeed()
    check(seen)
    assert seen.words == [
        "PENDING",
        "QUEUED",
        "RUNNING",
        "1",
        "gap",
        "3",
        "CANCELLING",
        "gap",
        "5",
        "back",
        "SUCCEEDED",
    ]


async def test_a_cursor_that_only_redis_knew_goes_on_after_a_wipe(relay: Relay, redis: Redis, submit: Submit) -> None:
    writer = await submit()
    await writer.claim()
    for current in range(5):
        await writer.progress(current)
    last = writer.cursor
    await redis.delete(writer.stream)
    seen = Seen()
    async with asyncio.TaskGroup() as group:
        group.create_task(seen.collect(relay, writer.task_id, last))
        await eventually(lambda: relay.subscribers == 1)
        await writer.progress(5)
        await seen.until("5")
        await writer.succeed()
    check(seen, last)
    assert seen.words == ["5", "SUCCEEDED"]


async def test_a_pubsub_connection_that_is_closed_again_and_again_makes_no_gap(
    relay: Relay, redis: Redis, submit: Submit
) -> None:
    """Meanwhile the document moves on, and what lies before it is in the stream all the same."""
    writer, seen = await submit(), Seen()
    await writer.claim()
    async with asyncio.TaskGroup() as group:
        group.create_task(seen.collect(relay, writer.task_id))
        await seen.until("RUNNING")
        for current in range(0, 30, 3):
            await redis.client_kill_filter(_type="pubsub")
            for step in range(current, current + 3):
                await writer.progress(step)
            await writer.save_progress()
            relay._poll.hurry()
            await seen.until(str(current + 2))
        await writer.succeed()
    check(seen)
    assert seen.words == ["PENDING", "QUEUED", "RUNNING", *(str(current) for current in range(30)), "SUCCEEDED"]
