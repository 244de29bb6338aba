"""An AMQP_URL of several nodes: any that answers will do, and another one when that is lost."""

import asyncio
from contextlib import suppress

from core.connections import open_amqp
from core.ids import new_id
from core.messages import TaskMessage
from core.publisher import PublishFailed, RabbitPublisher
from core.settings import Settings
from core.states import Priority
from jobs.bridge.sources import RabbitSource
from stack.process import free_port
from tests.integration.gateway_schema.proxy import proxied


async def take(source: RabbitSource) -> list[TaskMessage]:
    """Take what comes within 15 s, and settle it."""
    async with asyncio.timeout(15):
        parcels = await source.take(10)
    await source.settle(parcels)
    return [parcel.message for parcel in parcels]


async def publish(publisher: RabbitPublisher, message: TaskMessage) -> None:
    """Publish as the reconciler does: again until it is confirmed."""
    async with asyncio.timeout(15):
        while True:
            with suppress(PublishFailed):
                await publisher.publish(message, Priority.HIGH)
                return
            await asyncio.sleep(0.1)


async def test_lost_node_is_left_for_another_and_consumers_come_along(settings: Settings) -> None:
    async with proxied(settings.amqp_url) as (one, first), proxied(settings.amqp_url) as (two, second):
        hosts = [url.rpartition("@")[2].rstrip("/") for url in (first, second)]
        url = f"amqp://guest:guest@127.0.0.1:{free_port()},{hosts[0]},{hosts[1]}/"
        connection = await open_amqp(settings.model_copy(update={"amqp_url": url}))
        async with connection:
            source = RabbitSource(connection, settings.namespace, prefetch=10)
            await source.open()
            publisher = RabbitPublisher(connection, settings.namespace)
            for lost in (one, two):
                await lost.cut()
                message = TaskMessage(new_id(), 1)
                await publish(publisher, message)
                assert message in await take(source)
                await lost.mend()
