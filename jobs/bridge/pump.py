"""Moves parcels from the backlog into arq's queue, keeping that queue shallow so that the backlog decides the order."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

from pymongo.errors import PyMongoError
from redis.exceptions import RedisError

from core.streams import EventStreams
from core.telemetry import get_logger
from core.tracing import SpanKind, spans, trace_id
from jobs.bridge.sources import Parcel, Source
from jobs.ledger import Ledger
from jobs.metrics import BRIDGE_WINDOW, HANDED_OVER
from jobs.queue import RunQueue

BATCH = 200
FULL_WAIT_S = 0.02
RETRY_S = 0.5
UNSETTLED_BATCHES = 64
"""Batches that may wait in arq's queue to be marked, beside as many that are being marked; while those can't be, no
more are put there."""
OUTAGES = (RedisError, PyMongoError, OSError, TimeoutError)
T = TypeVar("T")

log = get_logger(__name__)


class Pump:
    """Hands over batch after batch: put in arq's queue, mark QUEUED, tell, acknowledge, in this order.

    A worker claims what it takes at once, and the mark then finds nothing to change. So marks wait for a moment, if the
    source keeps what is not settled; putting goes on meanwhile.
    """

    def __init__(self, source: Source, queue: RunQueue, ledger: Ledger, streams: EventStreams, window: int) -> None:
        self._source = source
        self._queue = queue
        self._ledger = ledger
        self._streams = streams
        self._window = window
        self._unsettled = asyncio.Queue[Sequence[Parcel]](UNSETTLED_BATCHES)
        BRIDGE_WINDOW.set(window)

    async def run(self) -> None:
        """Pump until cancelled; what is held then stays unacknowledged and is delivered again."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._settle_forever(), name="settling")
            await self._put_forever()

    async def _put_forever(self) -> None:
        waiting = await _surely(self._queue.length)
        while True:
            while waiting >= self._window:
                await asyncio.sleep(FULL_WAIT_S)
                waiting = await _surely(self._queue.length)
            parcels = await _surely(partial(self._source.take, min(self._window - waiting, BATCH)))
            waiting = await _surely(partial(self._put, parcels))
            await self._unsettled.put(parcels)
            if not self._source.settle_after_s:
                await self._unsettled.join()  # Else the source would give them out again.

    async def _put(self, parcels: Sequence[Parcel]) -> int:
        messages = [parcel.message for parcel in parcels]
        parents = {message.ticket: message.trace for message in messages}
        with spans("hand over", SpanKind.CONSUMER, parents, {"messaging.operation.type": "process"}) as traces:
            waiting = await self._queue.put([message.ticket for message in messages], traces)
        for message in messages:
            known = {"correlation_id": message.correlation_id, "trace_id": trace_id(message.trace)}
            log.debug("Handed over", ticket=message.ticket, **known)
        return waiting

    async def _settle_forever(self) -> None:
        while True:
            batches = [await self._unsettled.get()]
            while not self._unsettled.empty():
                batches.append(self._unsettled.get_nowait())
            await asyncio.sleep(self._source.settle_after_s)
            parcels = [parcel for batch in batches for parcel in batch]
            is_repeat = any(parcel.is_redelivered for parcel in parcels)  # A mark may be stored, but not told.
            while not await self._settle(parcels, is_repeat=is_repeat):
                is_repeat = True
                await asyncio.sleep(RETRY_S)
            HANDED_OVER.inc(len(parcels))
            for _ in batches:
                self._unsettled.task_done()

    async def _settle(self, parcels: Sequence[Parcel], *, is_repeat: bool) -> bool:
        """Mark, tell and acknowledge; return False if something is away: a mark has a fixed id and may be repeated."""
        try:
            events = await self._ledger.mark_queued([parcel.message for parcel in parcels], is_repeat=is_repeat)
            await self._streams.append([event for event in events if event is not None])
            await self._source.settle(parcels)
        except OUTAGES as exc:
            log.warning("A hand-over waits", parcels=len(parcels), error=str(exc))
            return False
        return True


async def _surely(step: Callable[[], Awaitable[T]]) -> T:
    """Return what the step returns, once nothing is away that it needs."""
    while True:
        try:
            return await step()
        except OUTAGES as exc:
            log.warning("The bridge waits", error=str(exc))
            await asyncio.sleep(RETRY_S)
