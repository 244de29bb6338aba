"""The priority queues on a real RabbitMQ."""

from core.connections import open_amqp
from core.ids import new_id
from core.messages import TaskMessage, queue_name
from core.publisher import QUORUM, RabbitPublisher, possible_arguments
from core.settings import Settings
from core.states import Priority

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
