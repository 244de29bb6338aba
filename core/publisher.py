"""Handing tasks to RabbitMQ: durable messages, publisher confirms, the mandatory flag; and the queues themselves."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Protocol

import aio_pika
import msgspec
from aio_pika.abc import AbstractChannel, AbstractRobustConnection
from redis.asyncio import Redis
from redis.exceptions import RedisError

from core.clock import utc_now
from core.grouping import GroupCommit
from core.messages import (
    PRIORITIES,
    TaskMessage,
    bridge_wake_channel,
    encode_messages,
    queue_name,
)
from core.states import Priority
from core.telemetry import get_logger
from core.tracing import SpanKind, spans

CONFIRM_TIMEOUT_S = 10.0
TASKS_A_MESSAGE = 50
"""Tasks that one message carries at most: those that came while the one before it was on its way."""
QUORUM: Mapping[str, str | int] = {"x-queue-type": "quorum"}
UNLIMITED: Mapping[str, str | int] = {**QUORUM, "x-delivery-limit": -1}
"""RabbitMQ 4 drops a quorum queue's message after 20 deliveries, unless the queue's own argument says -1; a policy may
not do (rabbitmq/rabbitmq-server#12250, #16035). RabbitMQ 3 has no limit, and takes a negative one for 0."""

log = get_logger(__name__)


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


class BrokerSilent(PublishFailed):
    """The broker did not say in time whether it took the message; it may take it later, as after a resource alarm."""


def wanted_arguments(server_version: str) -> Mapping[str, str | int]:
    """Return the arguments of a queue from which nothing is dropped, on a RabbitMQ of this version."""
    major = server_version.partition(".")[0]
    return UNLIMITED if major.isdecimal() and int(major) >= 4 else QUORUM


async def possible_arguments(
    connection: AbstractRobustConnection, queue: str, wanted: Mapping[str, str | int]
) -> Mapping[str, str | int]:
    """Return `wanted`, or what to declare a queue with that an older version has left with other arguments."""
    if wanted == QUORUM:
        return wanted
    try:
        async with connection.channel() as trial:  # A refusal closes the channel that it comes on.
            await trial.declare_queue(queue, durable=True, arguments=dict(wanted), robust=False)
    except aio_pika.exceptions.ChannelPreconditionFailed as exc:
        log.warning("A queue keeps its delivery limit; delete it while it is empty to lift that", reason=str(exc))
        return QUORUM
    return wanted


async def declare_queues(connection: AbstractRobustConnection, channel: AbstractChannel, namespace: str) -> None:
    """Declare the priority queues on a channel of the connection: durable quorum queues, so a broker node may die."""
    transport = connection.transport
    version = transport.connection.server_properties.get("version", "") if transport is not None else ""
    for priority in PRIORITIES:
        name = queue_name(namespace, priority)
        arguments = await possible_arguments(connection, name, wanted_arguments(str(version)))
        await channel.declare_queue(name, durable=True, arguments=dict(arguments))


class RabbitPublisher:
    """Publishes with confirms on one channel of a robust connection."""

    def __init__(self, connection: AbstractRobustConnection, namespace: str) -> None:
        self._connection = connection
        self._namespace = namespace
        self._channel: AbstractChannel | None = None
        self._opening = asyncio.Lock()
        self._groups = {
            priority: GroupCommit[TaskMessage, bool](
                partial(self._publish_together, queue_name(namespace, priority)),
                name=f"publishes {priority}",
                limit=TASKS_A_MESSAGE,
                hopeless=(BrokerSilent,),
            )
            for priority in PRIORITIES
        }

    async def publish(self, message: TaskMessage, priority: Priority) -> bool:
        """Publish and wait for the confirm. Raises PublishFailed, at once while the connection is down.

        What comes while a message of this priority waits for its confirm shares the next one, or fails with it after
        10 s: no publish waits for longer.
        """
        return await self._groups[priority].submit(message)

    async def _publish_together(self, queue: str, messages: Sequence[TaskMessage]) -> list[bool]:
        attributes = {"messaging.system": "rabbitmq", "messaging.destination.name": queue}
        parents = {message.ticket: message.trace for message in messages}
        with spans("publish", SpanKind.PRODUCER, parents, attributes) as traces:
            if traces:
                messages = [
                    msgspec.structs.replace(message, trace=traces.get(message.ticket, message.trace))
                    for message in messages
                ]
            await self.publish_body(encode_messages(messages), queue, messages[0].ticket)
        return [True] * len(messages)

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
        except TimeoutError as exc:
            raise BrokerSilent(f"no confirm from RabbitMQ within {CONFIRM_TIMEOUT_S:g} s") from exc
        except (aio_pika.exceptions.AMQPError, OSError, RuntimeError) as exc:
            raise PublishFailed(str(exc) or type(exc).__name__) from exc

    async def check(self) -> None:
        """Open a channel and close it again."""
        async with self._connection.channel(publisher_confirms=False):
            pass

    async def _open_channel(self) -> AbstractChannel:
        async with self._opening:
            if self._channel is None:
                channel = await self._connection.channel(publisher_confirms=True, on_return_raises=True)
                await declare_queues(self._connection, channel, self._namespace)
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
