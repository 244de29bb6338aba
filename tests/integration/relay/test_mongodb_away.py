"""What followers see while MongoDB is away."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from core.connections import open_mongo
from core.errors import Unavailable
from core.settings import Settings
from core.states import Delivery, TaskStatus
from core.streams import EventStreams
from gateway.relay import Relay
from tests.integration.relay.conftest import Server
from tests.integration.relay.test_follow import check, followed
from tests.integration.relay.test_outages import Seen
from tests.integration.relay.writer import Writer


@pytest.fixture
async def own_relay(mongodb: Server, redis: Redis, settings: Settings) -> AsyncIterator[Relay]:
    """A replica's relay on the test's own MongoDB."""
    client = await open_mongo(settings.model_copy(update={"mongo_url": mongodb.url}))
    async with Relay(redis, EventStreams(redis, settings.namespace), settings.namespace) as relay:
        yield relay
        assert (relay.watched, relay.subscribers) == (0, 0)
    await client.close()


async def test_a_join_fails_and_who_is_there_is_served(
    own_relay: Relay, mongodb: Server, redis: Redis, settings: Settings
) -> None:
    writer, other = [await Writer.submit(redis, settings.namespace) for _ in range(2)]
    await writer.claim()
    seen = Seen()
    async with asyncio.TaskGroup() as group:
        group.create_task(seen.collect(own_relay, writer.task_id))
        await seen.until(lambda snapshot: snapshot.delivery is Delivery.LIVE)
        await mongodb.stop()
        await writer.progress(4)
        await seen.until(lambda snapshot: snapshot.task.progress.current == 4)
        with pytest.raises(Unavailable, match="MongoDB"):
            await followed(own_relay, other)
        assert (await seen.another(own_relay, writer.task_id)).task.progress.current == 4
        await mongodb.start()
        await writer.succeed()
    check(seen)


async def test_an_end_is_held_until_its_result_can_be_read(
    own_relay: Relay, mongodb: Server, redis: Redis, settings: Settings
) -> None:
    writer = await Writer.submit(redis, settings.namespace)
    await writer.claim()
    seen = Seen()
    async with asyncio.TaskGroup() as group:
        group.create_task(seen.collect(own_relay, writer.task_id))
        await seen.until(lambda snapshot: snapshot.task.status is TaskStatus.RUNNING)
        end = await writer.store(writer.succeeded())
        await mongodb.stop()
        await writer.tell(end)
        with pytest.raises(TimeoutError):
            await seen.until(lambda snapshot: snapshot.task.status.is_terminal, within_s=1.0)
        await mongodb.start()
    check(seen)
    assert seen[-1].task.result == {"totalProcessed": 100}
