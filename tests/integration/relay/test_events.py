"""Following every event of a task on a real MongoDB-protocol server and a real Valkey."""

import asyncio
from uuid import UUID

import pytest
from redis.asyncio import Redis

from core.errors import BadUserInput, NotFound
from core.events import Cursor, StateChanged
from core.ids import new_id
from core.settings import Settings
from core.states import Delivery
from core.streams import EventStreams
from gateway.relay import Relay
from gateway.relay.history import BEFORE_ALL
from tests.integration.relay.conftest import Submit, eventually
from tests.integration.relay.follower import WHOLE, Seen, check, collected, log_line, run


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
