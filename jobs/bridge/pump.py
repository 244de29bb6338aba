"""Moves parcels from the backlog into arq's queue, keeping that queue shallow so that the backlog decides the order."""

import asyncio
from collections.abc import Sequence

from pymongo.errors import PyMongoError
from redis.exceptions import RedisError

from core.streams import EventStreams
from core.telemetry import get_logger
from core.tracing import SpanKind, spans, trace_id
from core.transition import for_each
from core.transitions import queued
from jobs.bridge.sources import Parcel, Source
from jobs.ledger import Ledger
from jobs.metrics import BRIDGE_WINDOW, HANDED_OVER
from jobs.queue import RunQueue

BATCH = 200
FULL_WAIT_S = 0.02
RETRY_S = 0.5

log = get_logger(__name__)


class Pump:
    """Hands over batch after batch: put in arq's queue, mark QUEUED, tell, acknowledge, in this order."""

    def __init__(self, source: Source, queue: RunQueue, ledger: Ledger, streams: EventStreams, window: int) -> None:
        self._source = source
        self._queue = queue
        self._ledger = ledger
        self._streams = streams
        self._window = window
        BRIDGE_WINDOW.set(window)

    async def run(self) -> None:
        """Pump until cancelled; what is held then stays unacknowledged and is delivered again."""
        while True:
            try:
                room = self._window - await self._queue.length()
                if room <= 0:
                    await asyncio.sleep(FULL_WAIT_S)
                    continue
                parcels = await self._source.take(min(room, BATCH))
            except (RedisError, PyMongoError, OSError, TimeoutError) as exc:
                log.warning("The bridge waits", error=str(exc))
                await asyncio.sleep(RETRY_S)
                continue
            await self._hand_over_surely(parcels)

    async def _hand_over_surely(self, parcels: Sequence[Parcel]) -> None:
        while True:
            try:
                await self.hand_over(parcels)
            except (RedisError, PyMongoError, OSError, TimeoutError) as exc:
                # Every step may be repeated: a ticket enters arq's queue once, a mark has a fixed event id.
                log.warning("A hand-over waits", parcels=len(parcels), error=str(exc))
                await asyncio.sleep(RETRY_S)
            else:
                HANDED_OVER.inc(len(parcels))
                return

    async def hand_over(self, parcels: Sequence[Parcel]) -> None:
        """Hand these over once. Raises RedisError or PyMongoError; then nothing is acknowledged."""
        messages = [parcel.message for parcel in parcels]
        parents = {message.ticket: message.trace for message in messages}
        with spans("hand over", SpanKind.CONSUMER, parents, {"messaging.operation.type": "process"}) as traces:
            await self._queue.put([message.ticket for message in messages], traces)
            tasks = [(message.task_id, message.epoch) for message in messages]
            marks = for_each(tasks, lambda task_id, epoch: queued(task_id, epoch, by=self._ledger.actor))
            events = await self._ledger.commit_all(marks, attempt=0)  # Only what never ran is PENDING.
            await self._streams.append([event for event in events if event is not None])
            await self._source.settle(parcels)
        for message in messages:
            known = {"correlation_id": message.correlation_id, "trace_id": trace_id(message.trace)}
            log.debug("Handed over", ticket=message.ticket, **known)
