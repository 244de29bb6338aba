"""The boards of this replica: subscribers to all tasks that match a filter. They share one feed."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager

from core.errors import BadUserInput, Unavailable
from core.events import stream_pattern
from core.telemetry import get_logger
from gateway.relay import board_queries
from gateway.relay.board_feed import Feed
from gateway.relay.board_filter import BoardFilter
from gateway.relay.board_slot import Slot
from gateway.relay.channels import Channels
from gateway.relay.snapshot import Snapshot

log = get_logger(__name__)
MAX_HZ = 60.0
AGAIN_S = 1.0
"""How long a subscriber waits for MongoDB before it asks again."""


class Boards:
    """Joins subscribers to the feed: the first one opens it, the last one closes it."""

    def __init__(self, channels: Channels, namespace: str) -> None:
        self._channels = channels
        self._pattern = stream_pattern(namespace)
        self._feed: Feed | None = None
        self._ending: set[asyncio.Task[None]] = set()

    @property
    def subscribers(self) -> int:
        """Boards that are open."""
        return 0 if self._feed is None else len(self._feed.slots)

    async def aclose(self) -> None:
        """End every board with Unavailable."""
        if self._feed is not None:
            for slot in self._feed.slots:
                slot.fail(Unavailable("This replica"))
            self._close(self._feed)
        await asyncio.gather(*self._ending, return_exceptions=True)

    def follow(self, shown: BoardFilter, *, max_hz: float, whole: bool) -> AsyncGenerator[Snapshot, None]:
        """Yield tasks as they change, beginning with those that did in the last 5 s.

        That is every task that matches the filter, and one that no longer does once more. There are at most `max_hz`
        rounds a second; each tells a task once, as it is by then. The end of a task is never left out. Input and result
        are there if `whole`. Raises BadUserInput if `max_hz` is not within (0, 60], and FellBehind. Close the generator
        to leave.
        """
        if not 0 < max_hz <= MAX_HZ:
            raise BadUserInput("maxHz", f"a number greater than 0 and at most {MAX_HZ:g}", got=max_hz)
        return self._follow(Slot(shown, max_hz), whole)

    async def _follow(self, slot: Slot, whole: bool) -> AsyncGenerator[Snapshot, None]:
        with self._joined(slot):
            while True:
                snapshot = await slot.next()
                yield await _completed(snapshot) if whole else snapshot

    @contextmanager
    def _joined(self, slot: Slot) -> Iterator[None]:
        """Keep the slot in the feed; nothing in here waits, so no cancellation can leave it behind."""
        feed = self._feed
        if feed is None:
            feed = self._feed = Feed(self._channels, self._pattern)
            feed.start()
        feed.join(slot)
        try:
            yield
        finally:
            feed.leave(slot)
            if not feed.slots:
                self._close(feed)

    def _close(self, feed: Feed) -> None:
        if self._feed is feed:
            self._feed = None
            for loop in feed.stop():
                self._ending.add(loop)
                loop.add_done_callback(self._ending.discard)


async def _completed(snapshot: Snapshot) -> Snapshot:
    while True:
        try:
            return await board_queries.complete(snapshot)
        except Unavailable:
            log.debug("MongoDB does not answer a board.")
            await asyncio.sleep(AGAIN_S)
