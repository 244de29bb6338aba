"""What the bridge's pump does with a message that another bridge had before."""

import asyncio
from contextlib import suppress

from redis.asyncio import Redis

from core.connections import open_amqp
from core.events import Cursor, StateChanged
from core.messages import TaskMessage
from core.settings import Settings
from core.states import TaskStatus
from core.streams import EventStreams
from jobs.bridge.pump import Pump
from jobs.bridge.sources import RabbitSource
from jobs.ledger import Ledger
from jobs.queue import RunQueues
from tests.integration.jobs.conftest import Submit
from tests.integration.jobs.test_main_path import streamed_until


async def test_queued_that_a_dead_bridge_stored_but_did_not_tell_is_told(
    settings: Settings, redis: Redis, submit: Submit
) -> None:
    task = await submit("steps", {})
    connection = await open_amqp(settings)
    async with connection:  # A bridge that ends after it has marked the task.
        dead = RabbitSource(connection, settings.namespace, prefetch=1)
        await dead.open()
        async with asyncio.timeout(10):
            [parcel] = await dead.take(1)
        assert not parcel.is_redelivered
        assert await Ledger("dead").mark_queued([TaskMessage(task.id, 1)], is_repeat=False) != [None]

    connection, streams = await open_amqp(settings), EventStreams(redis, settings.namespace)
    async with connection:
        source = RabbitSource(connection, settings.namespace, prefetch=1)
        await source.open()
        pump = Pump(source, RunQueues(redis, settings.namespace).common, Ledger("other"), streams, window=1)
        pumping = asyncio.create_task(pump.run(), name="pump")
        try:
            [(cursor, event)] = await streamed_until(streams, task.id, Cursor(1, 2))
        finally:
            pumping.cancel()
            with suppress(asyncio.CancelledError):
                await pumping
    assert (cursor, event.__class__, getattr(event, "by", "")) == (Cursor(1, 2), StateChanged, "dead")
    assert isinstance(event, StateChanged)
    assert event.status is TaskStatus.QUEUED
