"""Follows batches for this replica's subscribers: one aggregation per watched batch every half second, shared by all
who follow it. A batch that nobody follows costs nothing."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager, suppress
from uuid import UUID

from pymongo.errors import PyMongoError

from core.documents import Batch
from core.errors import BadUserInput
from core.telemetry import get_logger
from gateway.batches import RollUp, roll_up

POLL_S = 0.5
MAX_HZ = 60.0

log = get_logger(__name__)


class _Watch:
    """One batch as it was last seen. Its followers wait for a later version."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.followers = 0
        self.latest: RollUp | None = None
        self.version = 0
        self.finished = asyncio.Event()
        self.failure: BaseException | None = None
        self.poll: asyncio.Task[None] | None = None
        self._moved = asyncio.Condition()

    async def take(self, seen: RollUp) -> None:
        """Wake the followers if the batch has moved on."""
        if self.latest is None or seen.state != self.latest.state:
            self.version += 1
        self.latest = seen
        if seen.is_finished:
            self.finished.set()
        async with self._moved:
            self._moved.notify_all()

    async def fail(self, failure: BaseException) -> None:
        """End the followers with an error."""
        self.failure = failure
        async with self._moved:
            self._moved.notify_all()

    async def beyond(self, version: int) -> RollUp:
        """Return the latest as soon as it is later than `version`. Raises what the watch failed with."""
        async with self._moved:
            await self._moved.wait_for(lambda: self.failure is not None or self.version > version)
        if self.failure is not None:
            raise self.failure
        assert self.latest is not None
        return self.latest


class BatchWatches:
    """The batches that are followed in this replica. While MongoDB is away, followers hear nothing."""

    def __init__(self) -> None:
        self._watches: dict[UUID, _Watch] = {}

    @property
    def watched(self) -> int:
        """Batches that this replica watches."""
        return len(self._watches)

    def follow(self, batch: Batch, *, max_hz: float) -> AsyncGenerator[RollUp, None]:
        """Yield how far the batch is, then again as it moves on, at most `max_hz` times a second; end when it has.

        Raises BadUserInput if `max_hz` is not within (0, 60]. Close the generator to leave early.
        """
        if not 0 < max_hz <= MAX_HZ:
            raise BadUserInput("maxHz", f"a number greater than 0 and at most {MAX_HZ:g}", got=max_hz)
        return self._follow(batch, 1.0 / max_hz)

    async def _follow(self, batch: Batch, period_s: float) -> AsyncGenerator[RollUp, None]:
        seen = 0
        with self._joined(batch) as watch:
            while True:
                latest = await watch.beyond(seen)
                seen = watch.version
                yield latest
                if latest.is_finished:
                    return
                with suppress(TimeoutError):
                    async with asyncio.timeout(period_s):
                        await watch.finished.wait()

    @contextmanager
    def _joined(self, batch: Batch) -> Iterator[_Watch]:
        """Keep a follower in the table; nothing in here waits, so no cancellation can leave it behind."""
        watch = self._watches.get(batch.id)
        if watch is None:
            watch = self._watches[batch.id] = _Watch(batch)
            watch.poll = asyncio.create_task(_poll(watch), name=f"batch {batch.id}")
        watch.followers += 1
        try:
            yield watch
        finally:
            watch.followers -= 1
            if not watch.followers and watch.poll is not None:
                watch.poll.cancel()
                del self._watches[batch.id]


async def _poll(watch: _Watch) -> None:
    try:
        # The cancellation at the last follower's leaving may be swallowed by the driver.
        while watch.followers and not watch.finished.is_set():
            try:
                await watch.take(await roll_up(watch.batch))
            except PyMongoError as exc:
                log.warning("A batch waits for MongoDB", batch_id=str(watch.batch.id), reason=str(exc))
            await asyncio.sleep(POLL_S)
    except Exception as exc:  # noqa: BLE001  # Whatever it is, the followers would wait for ever.
        await watch.fail(exc)
