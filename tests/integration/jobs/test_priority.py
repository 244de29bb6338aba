"""What priority means on a real RabbitMQ with a backlog of the size that was promised."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from core.clock import utc_now
from core.connections import open_amqp
from core.ids import new_id
from core.messages import TaskMessage
from core.publisher import RabbitPublisher
from core.settings import Settings
from core.states import Priority
from jobs.bridge.sources import Parcel, RabbitSource

BACKLOG = 10_000
LOW_BACKLOG = 400
"""More than the tests take in all: low never runs dry."""
PREFETCH = 64
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
        assert (await source.past(Priority.NORMAL) or EVER) >= before
        await source.settle(again)
    async with opened(settings) as (publisher, source):
        await source.open()
        [other] = await publish(publisher, Priority.NORMAL, 1)
        assert [parcel.message for parcel in await take(source, 1)] == [other]
