"""Following every event of a task on a real MongoDB-protocol server and a real Valkey."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from itertools import pairwise
from uuid import UUID

import pytest
from redis.asyncio import Redis

from core.clock import utc_now
from core.documents import Task
from core.errors import BadUserInput, NotFound
from core.events import Cursor, Logged, Progressed, StateChanged
from core.ids import new_id
from core.settings import Settings
from core.states import Delivery
from core.streams import STREAM_LENGTH, EventStreams
from core.transitions import queued
from gateway.relay import Relay
from gateway.relay.history import BEFORE_ALL, RECENT_LIMIT, Gap, Told
from tests.integration.relay.conftest import Server, Submit, eventually
from tests.integration.relay.writer import Writer

TRIMMED = 2 * STREAM_LENGTH
"""Events that are more than a stream keeps, which trims by whole nodes."""


class Seen(list[Told]):
    """What a follower of all events got so far."""

    async def collect(self, relay: Relay, task_id: UUID, after: Cursor = BEFORE_ALL, most: int = 10_000) -> "Seen":
        """Follow the task to its end, or until there are so many events."""
        events = relay.follow_events(task_id, after=after, may_see="local".__eq__)
        async with aclosing(events) as told:
            async for event in told:
                self.append(event)
                if len(self) == most:
                    break
        return self

    @property
    def words(self) -> list[str]:
        """The events in short: states by name, progress by number, log lines by their text, gaps as `gap`."""
        return [word(told) for told in self]

    async def until(self, last: str, within_s: float = 8.0) -> None:
        """Wait until the latest event is such."""
        await eventually(lambda: self.words[-1:] == [last], within_s)


def word(told: Told) -> str:
    match told.event:
        case StateChanged(status=status):
            return status.value
        case Progressed(current=current):
            return str(current)
        case Logged(text=text):
            return text
    return "gap"


async def collected(relay: Relay, task_id: UUID, after: Cursor = BEFORE_ALL, most: int = 10_000) -> Seen:
    """Return what a follower gets."""
    return await Seen().collect(relay, task_id, after, most)


def check(seen: Sequence[Told], after: Cursor = BEFORE_ALL) -> None:
    """Check what every follower is promised: rising ids, each hole told of as a Gap, one end."""
    last = Told(after, Logged(utc_now(), 0, "where it began"), Delivery.LIVE)
    for earlier, later in pairwise([last, *seen]):
        assert earlier.cursor < later.cursor
        if isinstance(later.event, Gap):
            assert (later.event.after, later.event.before.n) == (earlier.cursor, later.cursor.n + 1)
        elif later.cursor.epoch == earlier.cursor.epoch:
            assert later.cursor.n == earlier.cursor.n + 1
        else:
            assert later.cursor == (earlier.cursor.epoch + 1, 1)
    ends = [isinstance(told.event, StateChanged) and told.event.status.is_terminal for told in seen]
    assert ends == [False] * (len(seen) - 1) + [True]


async def log_line(writer: Writer, text: str) -> None:
    """Say something."""
    writer.cursor = writer.next
    await writer.append(writer.cursor, Logged(at=utc_now(), attempt=writer.attempt, text=text))


async def run(writer: Writer, steps: int = 3) -> None:
    """Move a task from its submit to a success."""
    await writer.queue()
    await writer.claim()
    for current in range(steps):
        await writer.progress(current)
        await log_line(writer, f"line {current}")
    await writer.succeed()


WHOLE = ["PENDING", "QUEUED", "RUNNING", "0", "line 0", "1", "line 1", "2", "line 2", "SUCCEEDED"]


async def test_every_event_is_told_as_it_happens(relay: Relay, submit: Submit) -> None:
    writer, seen = await submit(), Seen()
    async with asyncio.TaskGroup() as group:
        group.create_task(seen.collect(relay, writer.task_id))
        await seen.until("PENDING")
        await writer.queue()
        await seen.until("QUEUED")
        await writer.claim()
        await seen.until("RUNNING")
        await writer.progress(7)
        await seen.until("7")
        await log_line(writer, "hello")
        await seen.until("hello")
        await writer.requeue()
        await writer.claim()
        await writer.progress(8)
        await seen.until("8")
        await writer.fail()
    check(seen)
    assert seen.words == ["PENDING", "QUEUED", "RUNNING", "7", "hello", "QUEUED", "RUNNING", "8", "FAILED"]
    assert {told.delivery for told in seen} == {Delivery.LIVE}
    end = seen[-1].event
    assert isinstance(end, StateChanged)
    assert (end.error_code, end.error_message, end.attempt) == ("BROKEN", "It broke.", 2)


async def test_a_late_follower_gets_the_whole_story(relay: Relay, submit: Submit) -> None:
    writer = await submit()
    await run(writer)
    seen = await collected(relay, writer.task_id)
    check(seen)
    assert seen.words == WHOLE


async def test_any_cursor_gives_exactly_the_rest_on_another_replica(
    relay: Relay, redis: Redis, settings: Settings, submit: Submit
) -> None:
    writer = await submit()
    async with Relay(redis, EventStreams(redis, settings.namespace), settings.namespace) as other:
        whole, rests = Seen(), [Seen() for _ in range(4)]
        async with asyncio.TaskGroup() as group:
            group.create_task(whole.collect(relay, writer.task_id))
            for most, rest in enumerate(rests, 1):
                group.create_task(break_and_resume(relay, other, writer.task_id, rest, most))
            await eventually(lambda: relay.subscribers + other.subscribers == 5)
            await run(writer)
        assert (other.watched, other.subscribers) == (0, 0)
    check(whole)
    for rest in rests:
        assert rest.words == whole.words


async def break_and_resume(relay: Relay, other: Relay, task_id: UUID, seen: Seen, most: int) -> None:
    """Leave after so many events and go on elsewhere, again and again."""
    last, here = BEFORE_ALL, True
    while seen.words[-1:] != ["SUCCEEDED"]:
        seen += await collected(relay if here else other, task_id, last, most)
        last, here = seen[-1].cursor, not here


async def test_every_cursor_of_an_ended_task_gives_exactly_the_rest(relay: Relay, submit: Submit) -> None:
    writer = await submit()
    await run(writer)
    whole = await collected(relay, writer.task_id)
    for place, told in enumerate(whole, 1):
        assert await collected(relay, writer.task_id, told.cursor) == whole[place:]


@pytest.mark.parametrize("beyond", [Cursor(2, 999), Cursor(3, 0), Cursor(99, 1)])
async def test_a_cursor_beyond_the_end_gives_nothing(relay: Relay, submit: Submit, beyond: Cursor) -> None:
    writer = await submit()
    await run(writer)
    assert await collected(relay, writer.task_id, beyond) == []


async def test_a_cursor_of_an_epoch_that_never_was_is_refused(relay: Relay, submit: Submit) -> None:
    writer = await submit()
    await writer.claim()
    with pytest.raises(BadUserInput, match="which is at 2-1"):
        await collected(relay, writer.task_id, Cursor(3, 1))
    assert (relay.watched, relay.subscribers) == (0, 0)


async def test_an_unknown_task_and_another_owners_are_not_found(relay: Relay, submit: Submit) -> None:
    writer = await submit()
    with pytest.raises(NotFound):
        await collected(relay, new_id())
    with pytest.raises(NotFound):
        await anext(relay.follow_events(writer.task_id, after=BEFORE_ALL, may_see=lambda _: False))
    assert (relay.watched, relay.subscribers) == (0, 0)


async def test_what_was_trimmed_is_a_gap_between_the_states(relay: Relay, submit: Submit) -> None:
    writer = await submit()
    await writer.claim()
    for current in range(TRIMMED):
        await writer.progress(current)
    await writer.succeed()
    seen = await collected(relay, writer.task_id)
    check(seen)
    kept = len(seen) - 4
    assert STREAM_LENGTH - 1 <= kept < TRIMMED
    told = [str(current) for current in range(TRIMMED - kept, TRIMMED)]
    assert seen.words == ["PENDING", "RUNNING", "gap", *told, "SUCCEEDED"]
    gap = seen[2].event
    assert isinstance(gap, Gap)
    assert (gap.after, gap.before) == (Cursor(2, 1), seen[3].cursor)
    assert await collected(relay, writer.task_id, seen[2].cursor) == seen[3:], "a gap is told of once"


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
    assert (await collected(relay, writer.task_id)).words == ["PENDING", "RUNNING", "SUCCEEDED"]


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
    assert seen.words[:3] == ["PENDING", "RUNNING", "gap"]
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
    assert seen.words == ["PENDING", "RUNNING", "1", "gap", "3", "CANCELLING", "gap", "5", "back", "SUCCEEDED"]


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
            relay.poll_soon()
            await seen.until(str(current + 2))
        await writer.succeed()
    check(seen)
    assert seen.words == ["PENDING", "RUNNING", *(str(current) for current in range(30)), "SUCCEEDED"]
