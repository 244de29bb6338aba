"""The priority queues on a real RabbitMQ."""

import asyncio

import pytest

from core import publisher as publishing
from core.connections import open_amqp
from core.ids import new_id
from core.messages import TaskMessage, queue_name
from core.publisher import QUORUM, TASKS_A_MESSAGE, BrokerSilent, RabbitPublisher, possible_arguments
from core.settings import Settings
from core.states import Priority
from tests.integration.gateway_schema.proxy import proxied

MANY = 25
"""More deliveries than RabbitMQ 4 allows a quorum queue by default."""


async def test_queue_that_is_there_with_other_arguments_is_kept_and_used(settings: Settings) -> None:
    connection = await open_amqp(settings)
    try:
        publisher = RabbitPublisher(connection, settings.namespace)
        await publisher.publish(TaskMessage(new_id(), 1), Priority.NORMAL)
        name = queue_name(settings.namespace, Priority.NORMAL)
        assert await possible_arguments(connection, name, {**QUORUM, "x-delivery-limit": 7}) == QUORUM
        await publisher.publish(TaskMessage(new_id(), 1), Priority.NORMAL)
        async with connection.channel() as channel:
            queue = await channel.declare_queue(name, passive=True)
            assert queue.declaration_result.message_count == 2
    finally:
        await connection.close()


async def test_no_publish_waits_for_a_silent_broker_longer_than_one_confirm(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "CONFIRM_TIMEOUT_S", 0.5)
    async with proxied(settings.amqp_url) as (proxy, url):
        connection = await open_amqp(settings.model_copy(update={"amqp_url": url}))
        try:
            publisher = RabbitPublisher(connection, settings.namespace)
            await publisher.publish(TaskMessage(new_id(), 1), Priority.NORMAL)
            proxy.is_silent = True
            messages = [TaskMessage(new_id(), 1) for _ in range(10 * TASKS_A_MESSAGE)]
            async with asyncio.timeout(2):
                results = await asyncio.gather(
                    *(publisher.publish(message, Priority.NORMAL) for message in messages), return_exceptions=True
                )
            assert {type(result) for result in results} == {BrokerSilent}
            proxy.is_silent = False
        finally:
            await connection.close()


async def test_message_outlives_any_number_of_deliveries(settings: Settings) -> None:
    connection = await open_amqp(settings)
    try:
        publisher = RabbitPublisher(connection, settings.namespace)
        message = TaskMessage(new_id(), 1)
        await publisher.publish(message, Priority.HIGH)
        async with connection.channel() as channel:
            queue = await channel.get_queue(queue_name(settings.namespace, Priority.HIGH))
            for _ in range(MANY):
                delivery = await queue.get(timeout=5)
                assert delivery is not None
                await delivery.reject(requeue=True)
            last = await queue.get(timeout=5)
            assert last is not None
            assert last.message_id == message.ticket
            await last.ack()
    finally:
        await connection.close()
