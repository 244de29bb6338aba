"""Handing tasks to RabbitMQ: durable messages, publisher confirms, the mandatory flag; and the queues themselves."""

import asyncio
from typing import Protocol

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractRobustConnection
from redis.asyncio import Redis
from redis.exceptions import RedisError

from core.clock import utc_now
from core.messages import (
    PRIORITIES,
    TaskMessage,
    bridge_wake_channel,
    encode_message,
    queue_name,
)
from core.states import Priority

CONFIRM_TIMEOUT_S = 10.0


class Publisher(Protocol):
    """Hands a task to whatever brings it to a bridge."""

    async def publish(self, message: TaskMessage, priority: Priority) -> bool:
        """Return True once a broker holds the message durably, False where there is no broker to hold it.

        Raises PublishFailed if that can't be had right now; the task stays PENDING and is published later.
        """
        ...

    async def check(self) -> None:
        """Make one round trip to whatever takes the messages. Raises what its client raises; may wait for long."""
        ...


class PublishFailed(Exception):
    """The broker did not take the message."""


async def declare_queues(channel: AbstractChannel, namespace: str) -> None:
    """Declare the priority queues: durable quorum queues, so a broker node may die."""
    for priority in PRIORITIES:
        await channel.declare_queue(queue_name(namespace, priority), durable=True, arguments={"x-queue-type": "quorum"})


class RabbitPublisher:
    """Publishes with confirms on one channel of a robust connection."""

    def __init__(self, connection: AbstractRobustConnection, namespace: str) -> None:
        self._connection = connection
        self._namespace = namespace
        self._channel: AbstractChannel | None = None
        self._opening = asyncio.Lock()

    async def publish(self, message: TaskMessage, priority: Priority) -> bool:
        """Publish and wait for the confirm. Raises PublishFailed, at once while the connection is down."""
        await self.publish_body(encode_message(message), queue_name(self._namespace, priority), message.ticket)
        return True

    async def publish_body(self, body: bytes, queue: str, message_id: str | None = None) -> None:
        """Publish bytes as they are to a queue and wait for the confirm. Raises PublishFailed as `publish` does."""
        if not self._connection.connected.is_set():
            raise PublishFailed("the connection to RabbitMQ is down")
        try:
            async with asyncio.timeout(CONFIRM_TIMEOUT_S):
                channel = await self._open_channel()
                await channel.default_exchange.publish(
                    aio_pika.Message(
                        body,
                        content_type="application/json",
                        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
                        message_id=message_id,
                        timestamp=utc_now(),
                    ),
                    routing_key=queue,
                    mandatory=True,
                )
        except (aio_pika.exceptions.AMQPError, OSError, TimeoutError, RuntimeError) as exc:
            raise PublishFailed(str(exc) or type(exc).__name__) from exc

    async def check(self) -> None:
        """Open a channel and close it again."""
        async with self._connection.channel(publisher_confirms=False):
            pass

    async def _open_channel(self) -> AbstractChannel:
        async with self._opening:
            if self._channel is None:
                channel = await self._connection.channel(publisher_confirms=True, on_return_raises=True)
                await declare_queues(channel, self._namespace)
                self._channel = channel
        return self._channel


class DirectPublisher:
    """Without a broker: the task stays PENDING in MongoDB and a bridge is woken to read it from there."""

    def __init__(self, redis: Redis, namespace: str) -> None:
        self._redis = redis
        self._channel = bridge_wake_channel(namespace)

    async def publish(self, message: TaskMessage, priority: Priority) -> bool:
        """Wake a bridge. Raises PublishFailed if Redis does not answer; a bridge also looks by itself once a second."""
        try:
            await self._redis.publish(self._channel, message.ticket)
        except (RedisError, OSError, TimeoutError) as exc:
            raise PublishFailed(str(exc)) from exc
        return False

    async def check(self) -> None:
        """Ping the Redis that carries the wake-up."""
        await self._redis.ping()
