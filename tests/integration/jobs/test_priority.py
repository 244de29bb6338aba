"""What priority means on a real RabbitMQ with a backlog of the size that was promised."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta

import aio_pika
import pytest
from aio_pika.abc import AbstractConnection
from redis.asyncio import Redis

from core.clock import utc_now
from core.connections import open_amqp
from core.ids import new_id
from core.messages import TaskMessage, encode_messages, queue_name
from core.publisher import RabbitPublisher
from core.settings import Settings
from core.states import Priority
from jobs.bridge.__main__ import open_supply
from jobs.bridge.sources import PATIENCE, PREFETCH, Parcel, RabbitSource

BACKLOG = 10_000
LOW_BACKLOG = 400
"""More than the tests take in all: low never runs dry."""
EVER = datetime.min.replace(tzinfo=UTC)
AT_ONCE = 500
"""Publishes that wait for their confirms together."""


async def publish(publisher: RabbitPublisher, priority: Priority, count: int) -> set[TaskMessage]:
    """Publish messages of a priority; return them once the broker has confirmed all."""
    messages = [TaskMessage(new_id(), 1) for _ in range(count)]
    for start in range(0, count, AT_ONCE):
        part = messages[start : start + AT_ONCE]
        await asyncio.gather(*(publisher.publish(message, priority) for message in part))
    return set(messages)


async def publish_at(settings: Settings, priority: Priority, times: Sequence[datetime]) -> None:
    """Publish a message for each of these times, as if it had been then."""
    async with await open_amqp(settings) as connection, connection.channel() as channel:
        for timestamp in times:
            message = aio_pika.Message(encode_messages([TaskMessage(new_id(), 1)]), timestamp=timestamp)
            await channel.default_exchange.publish(message, queue_name(settings.namespace, priority))


async def ready_messages(connection: AbstractConnection, settings: Settings) -> int:
    """Return how many NORMAL messages the broker has not given out."""
    async with connection.channel() as channel:
        queue = await channel.declare_queue(queue_name(settings.namespace, Priority.NORMAL), passive=True)
    return queue.declaration_result.message_count or 0


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[tuple[RabbitPublisher, RabbitSource]]:
    """A publisher and a bridge's source on connections of their own."""
    sending, receiving = await open_amqp(settings), await open_amqp(settings)
    try:
        source = RabbitSource(receiving, settings.namespace, prefetch=PREFETCH)
        yield RabbitPublisher(sending, settings.namespace), source
    finally:
        await sending.close()
        await receiving.close()


async def take(source: RabbitSource, count: int) -> list[Parcel]:
    """Take and settle so many parcels, as few at a time as a busy fleet leaves room for."""
    taken: list[Parcel] = []
    async with asyncio.timeout(60):
        while len(taken) < count:
            parcels = await source.take(4)
            await source.settle(parcels)
            taken += parcels
            await asyncio.sleep(0.002)  # The broker sends what may come in their place.
    return taken


async def test_high_overtakes_a_backlog_of_ten_thousand_and_low_still_moves(settings: Settings) -> None:
    async with opened(settings) as (publisher, source):
        low = await publish(publisher, Priority.LOW, LOW_BACKLOG)
        normal = await publish(publisher, Priority.NORMAL, BACKLOG)
        await source.open()
        before = await take(source, 200)
        assert {parcel.message for parcel in before} & low  # LOW is not starved by ten thousand NORMAL ones.

        (high,) = await publish(publisher, Priority.HIGH, 1)
        after = [parcel.message for parcel in await take(source, 50)]
        assert high in after
        assert after.index(high) < PREFETCH // 2

        crowd = await publish(publisher, Priority.HIGH, 100)
        mixed = [parcel.message for parcel in await take(source, 126)]
        taken = {
            Priority.HIGH: len(crowd.intersection(mixed)),
            Priority.NORMAL: len(normal.intersection(mixed)),
            Priority.LOW: len(low.intersection(mixed)),
        }
        assert taken[Priority.HIGH] > taken[Priority.NORMAL] > taken[Priority.LOW] > 0


async def test_backlog_that_waits_is_known_to_wait_and_an_empty_queue_to_hold_nothing(settings: Settings) -> None:
    async with opened(settings) as (publisher, source):
        await source.open()
        before = utc_now()
        assert (await source.past(Priority.NORMAL) or EVER) >= before

        await publish(publisher, Priority.NORMAL, PREFETCH * 3)
        assert (await source.past(Priority.NORMAL) or EVER) < before
        await take(source, PREFETCH * 3)
        assert (await source.past(Priority.NORMAL) or EVER) >= before


@pytest.mark.parametrize("count", [PREFETCH // 2, PREFETCH * 2])
async def test_backlog_older_than_a_minute_is_not_taken_for_lost(settings: Settings, count: int) -> None:
    first = (utc_now() - timedelta(hours=1)).replace(microsecond=0)
    times = [first + timedelta(seconds=10 * number) for number in range(count)]
    async with opened(settings) as (_, source), asyncio.timeout(30):
        await source.open()
        await publish_at(settings, Priority.NORMAL, times)
        taken: list[Parcel] = []
        while len(taken) < 15:
            taken += await source.take(1)
        assert await source.past(Priority.NORMAL) == times[0] - PATIENCE  # Taken, but in nobody's queue yet.
        await source.settle(taken[:10])
        assert await source.past(Priority.NORMAL) == times[10] - PATIENCE
        await source.settle(taken[10:])
        await take(source, count - 15)
        assert (await source.past(Priority.NORMAL) or EVER) > times[-1]


async def test_bridge_of_a_large_window_leaves_a_backlog_where_it_is_counted(settings: Settings, redis: Redis) -> None:
    async with AsyncExitStack() as stack:
        supply = await open_supply(settings.model_copy(update={"bridge_window": 10 * PREFETCH}), redis, stack)
        await publish_at(settings, Priority.NORMAL, [utc_now()] * 3 * PREFETCH)
        async with await open_amqp(settings) as connection, asyncio.timeout(30):
            while True:
                ready = await ready_messages(connection, settings)
                if ready <= 2 * PREFETCH:
                    break
                await asyncio.sleep(0.01)
        assert ready == 2 * PREFETCH
        assert len(await supply.source.take(10 * PREFETCH)) <= PREFETCH


async def test_message_is_acknowledged_once_the_last_of_its_tasks_is_settled(settings: Settings) -> None:
    async with opened(settings) as (publisher, source):
        sent = await publish(publisher, Priority.NORMAL, 30)
        await source.open()
        taken = {parcel.message for parcel in await take(source, 28)}
    async with opened(settings) as (publisher, source), asyncio.timeout(30):
        await source.open()
        again = await source.take(1)
        again += await source.take(30)
        left = sent - taken
        assert len(left) == 2
        assert left < {parcel.message for parcel in again} <= sent  # What was settled of their message is repeated.
        before = utc_now()
        assert (await source.past(Priority.NORMAL) or EVER) < before
        await source.settle(again)
        assert (await source.past(Priority.NORMAL) or EVER) >= before
    async with opened(settings) as (publisher, source):
        await source.open()
        [other] = await publish(publisher, Priority.NORMAL, 1)
        assert [parcel.message for parcel in await take(source, 1)] == [other]
