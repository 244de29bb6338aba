"""Where a bridge takes tasks from: RabbitMQ's three priority queues, or MongoDB where there is no broker."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, AbstractRobustConnection

from core.clock import utc_now
from core.documents import Task
from core.messages import (
    PRIORITIES,
    TaskMessage,
    UnreadableMessage,
    decode_messages,
    queue_name,
)
from core.publisher import declare_queues
from core.states import Priority, TaskStatus
from core.telemetry import get_logger
from jobs.dead_letters import bury_message

WEIGHTS = {Priority.HIGH: 16, Priority.NORMAL: 4, Priority.LOW: 1}
"""Of 21 hand-overs under full load so many go to each priority: low never starves."""
LOOK_EVERY_S = 1.0
SETTLE_AFTER_S = 0.02
"""An idle worker claims within 5 ms of the hand-over (29 November 2026)."""
WANTED = {"epoch": 1, "trace": 1, "correlation_id": 1}
COUNT_WITHIN_S = 1.0
PREFETCH = 32
"""Messages of a priority that a bridge holds at most, of up to 50 tasks each; whoever counts ready ones misses them."""
PATIENCE = timedelta(seconds=60)
"""A queue that gives out a message this much younger than another's publish no longer holds that other one."""

log = get_logger(__name__)


@dataclass(eq=False)
class Delivery:
    """The broker's record of a message, and how many of the tasks in it are still to be settled."""

    record: AbstractIncomingMessage
    priority: Priority
    left: int
    published_at: datetime | None


@dataclass(frozen=True)
class Parcel:
    """A task message on its way to arq, and the delivery it came in (None where there is no broker)."""

    message: TaskMessage
    delivery: Delivery | None = None

    @property
    def is_redelivered(self) -> bool:
        """Whether a bridge may have had it before."""
        return self.delivery is not None and bool(self.delivery.record.redelivered)


class Source(Protocol):
    """A backlog that gives out parcels.

    `settle_after_s` says how long what was given out may go without being settled; 0 = until the next take.
    """

    settle_after_s: float

    async def take(self, room: int) -> list[Parcel]:
        """Return 1 to `room` parcels by priority; waits while there are none."""
        ...

    async def settle(self, parcels: Sequence[Parcel]) -> None:
        """Drop parcels from the backlog: their tasks are in arq's queue."""
        ...


class WeightedQueues:
    """Three waiting lines, served by smooth weighted round robin among those that are not empty."""

    def __init__(self) -> None:
        self._lines: dict[Priority, deque[Parcel]] = {priority: deque() for priority in PRIORITIES}
        self._credit = dict.fromkeys(PRIORITIES, 0)

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))

    def push(self, priority: Priority, parcel: Parcel) -> None:
        """Add a parcel at the end of its line."""
        self._lines[priority].append(parcel)

    def clear(self) -> None:
        """Drop everything."""
        for line in self._lines.values():
            line.clear()

    def pop(self) -> Parcel:
        """Take the next parcel. Raises IndexError if there is none."""
        waiting = [priority for priority in PRIORITIES if self._lines[priority]]
        if not waiting:
            raise IndexError("no parcel waits")
        for priority in waiting:
            self._credit[priority] += WEIGHTS[priority]
        chosen = max(waiting, key=self._credit.__getitem__)
        self._credit[chosen] -= sum(WEIGHTS[priority] for priority in waiting)
        return self._lines[chosen].popleft()


class RabbitSource:
    """Consumes the priority queues with manual acknowledgement; at most `prefetch` messages of each are held so."""

    settle_after_s = SETTLE_AFTER_S

    def __init__(self, connection: AbstractRobustConnection, namespace: str, prefetch: int) -> None:
        self._connection = connection
        self._namespace = namespace
        self._prefetch = prefetch
        self._held = WeightedQueues()
        self._unsettled: dict[Priority, dict[Delivery, None]] = {priority: {} for priority in PRIORITIES}
        self._arrived = asyncio.Event()
        self._channel: AbstractChannel | None = None
        self._handed_at: dict[Priority, datetime] = {}

    async def open(self) -> None:
        """Declare the queues and start consuming. What was held from an earlier connection is delivered again."""
        channel = await self._connection.channel(publisher_confirms=True)
        await channel.set_qos(prefetch_count=self._prefetch)
        await declare_queues(self._connection, channel, self._namespace)
        channel.close_callbacks.add(self._drop_held)
        for priority in PRIORITIES:
            queue = await channel.get_queue(queue_name(self._namespace, priority))

            async def receive(delivery: AbstractIncomingMessage, priority: Priority = priority) -> None:
                await self._receive(delivery, priority)

            await queue.consume(receive)
        self._channel = channel

    def _drop_held(self, *_: object) -> None:
        self._held.clear()
        for deliveries in self._unsettled.values():
            deliveries.clear()

    async def _receive(self, delivery: AbstractIncomingMessage, priority: Priority) -> None:
        try:
            messages = decode_messages(delivery.body)
        except UnreadableMessage as exc:
            await self._bury(delivery, str(exc))
            return
        published_at = None if delivery.timestamp is None else delivery.timestamp.astimezone(UTC)
        whole = Delivery(delivery, priority, len(messages), published_at)
        self._unsettled[priority][whole] = None
        for message in messages:
            self._held.push(priority, Parcel(message, whole))
        self._arrived.set()

    async def _bury(self, delivery: AbstractIncomingMessage, reason: str) -> None:
        """Store the message with why it is unreadable, then acknowledge it; while MongoDB is away it stays held."""
        log.warning("Unreadable message", reason=reason, size=len(delivery.body))
        await bury_message(
            delivery.body, reason, queue=delivery.routing_key or "", is_redelivered=bool(delivery.redelivered)
        )
        await _acknowledge(delivery)

    async def take(self, room: int) -> list[Parcel]:
        """Return 1 to `room` of the parcels held; waits while there are none."""
        while not self._held:
            self._arrived.clear()
            await self._arrived.wait()
        return [self._held.pop() for _ in range(min(room, len(self._held)))]

    async def past(self, priority: Priority) -> datetime | None:
        """Return up to when a message must have been published so that it can't be waiting; None if that is unknown.

        Neither the queue nor this bridge has one, or the oldest that the bridge has is 60 s younger than those; where
        it has none, the youngest that it has handed over.
        """
        asked_at = utc_now()
        try:
            # On a channel of its own: aio-pika answers from its memory for a queue that the channel knows already.
            async with asyncio.timeout(COUNT_WITHIN_S), self._connection.channel() as channel:
                queue = await channel.declare_queue(queue_name(self._namespace, priority), passive=True, robust=False)
        except (aio_pika.exceptions.AMQPError, RuntimeError, OSError, TimeoutError):
            waiting = None
        else:
            waiting = queue.declaration_result.message_count
        oldest = next(iter(self._unsettled[priority]), None)
        if oldest is None and waiting == 0:
            return asked_at
        younger = self._handed_at.get(priority) if oldest is None else oldest.published_at
        return None if younger is None else younger - PATIENCE

    async def settle(self, parcels: Sequence[Parcel]) -> None:
        """Acknowledge each message once all in it are settled.

        One whose channel is gone is delivered again, and its tickets dropped as duplicates.
        """
        for parcel in parcels:
            assert parcel.delivery is not None
            parcel.delivery.left -= 1
            if parcel.delivery.left == 0:
                await _acknowledge(parcel.delivery.record)
                self._forget(parcel.delivery)

    def _forget(self, delivery: Delivery) -> None:
        self._unsettled[delivery.priority].pop(delivery, None)
        if (at := delivery.published_at) is not None:
            self._handed_at[delivery.priority] = max(at, self._handed_at.get(delivery.priority, at))


async def _acknowledge(delivery: AbstractIncomingMessage) -> None:
    try:
        await delivery.ack()
    except (aio_pika.exceptions.AMQPError, RuntimeError, OSError) as exc:
        log.info("An acknowledgement was lost", error=str(exc))


class MongoSource:
    """Without a broker: PENDING tasks by priority and age. It looks each second, and at once when woken."""

    settle_after_s = 0.0

    def __init__(self) -> None:
        self._wake = asyncio.Event()

    def wake(self, _: bytes = b"") -> None:
        """Look at once."""
        self._wake.set()

    async def take(self, room: int) -> list[Parcel]:
        """Return 1 to `room` of the PENDING tasks; waits while there are none. Raises PyMongoError."""
        while True:
            self._wake.clear()
            if parcels := await self._find(room):
                return parcels
            try:
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _find(self, room: int) -> list[Parcel]:
        shares = WeightedQueues()
        for priority in PRIORITIES:
            found = (
                Task.get_pymongo_collection()
                .find({"status": TaskStatus.PENDING.value, "priority": priority.value}, WANTED)
                .sort("_id", 1)
                .limit(room)
            )
            async for document in found:
                trace, correlation_id = document.get("trace"), document.get("correlation_id")
                shares.push(priority, Parcel(TaskMessage(document["_id"], document["epoch"], trace, correlation_id)))
        return [shares.pop() for _ in range(min(room, len(shares)))]

    async def settle(self, parcels: Sequence[Parcel]) -> None:
        """Nothing to do: a task that is marked QUEUED is not found again."""
