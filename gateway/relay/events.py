"""Follows every event of a watched task: from what is kept of the latest ones, or else from stream and document."""

import asyncio
from collections.abc import AsyncGenerator, Sequence

from core.clock import utc_now
from core.errors import BadUserInput, NotFound, Unavailable
from core.events import Cursor, Event
from core.states import Delivery
from gateway.relay.catchup import CatchUp
from gateway.relay.channels import Channels
from gateway.relay.fold import is_end
from gateway.relay.history import BEFORE_ALL, Entry, Gap, Sources, Told
from gateway.relay.stored import StoredTasks
from gateway.relay.watch import Watch

PATIENCE_S = 0.25
"""How long an event waits for those before it that may be on their way to the stream; then they count as missing."""
AGAIN_S = 1.0
"""Pause between two looks for what is known to have happened but can't be read."""


class EventFollower:
    """One subscriber to every event: it holds only the id of the last one it was handed."""

    def __init__(self, after: Cursor) -> None:
        self.cursor = after
        self.news = asyncio.Event()

    def wake(self, *, urgent: bool) -> None:
        """Let it look at its watch again."""
        self.news.set()


class Events:
    """Hands followers of a loaded watch its task's events."""

    def __init__(self, stored: StoredTasks, catch_up: CatchUp, channels: Channels) -> None:
        self._stored = stored
        self._catch_up = catch_up
        self._channels = channels
        self._streams_away = False

    async def tell(self, watch: Watch, follower: EventFollower) -> AsyncGenerator[Told, None]:
        """Yield the events after the follower's cursor, to the end. Raises what the watch fails with.

        A slow reader holds up nobody: what has gone from the stream until it asks for more is a Gap to it.
        """
        sources = await self._read(watch, follower.cursor)
        _check_cursor(sources, follower.cursor)
        delivery = _delivery(sources)
        entries: Sequence[Entry]
        entries, _ = sources.after(follower.cursor, BEFORE_ALL)
        while True:
            for cursor, event in entries:
                follower.cursor = cursor
                yield Told(cursor, event, delivery)
                if not isinstance(event, Gap) and is_end(event):
                    return
            delivery, entries = await self._next(watch, follower)
            if not entries:
                return

    async def _next(self, watch: Watch, follower: EventFollower) -> tuple[Delivery, Sequence[Entry]]:
        """Wait for more events; there are none only if the follower has seen the end."""
        waited_for = BEFORE_ALL
        while True:
            follower.news.clear()
            if watch.failure is not None:
                raise watch.failure
            recent = None if watch.recent is None else watch.recent.after(follower.cursor)
            if recent:
                return Delivery.LIVE, recent
            if recent is None:
                sources = await self._read(watch, follower.cursor)
                entries, waiting = sources.after(follower.cursor, waited_for)
                if entries:
                    return _delivery(sources), entries
            if watch.ended and follower.cursor >= watch.cursor:
                return Delivery.LIVE, ()
            if recent is not None:
                await follower.news.wait()
            elif sources.task is not None and waiting is not None:
                await asyncio.sleep(PATIENCE_S)
                waited_for = waiting
            else:
                await asyncio.sleep(AGAIN_S)

    async def _read(self, watch: Watch, last: Cursor) -> Sources:
        """Read the stream, `last` included if it is there, then the document."""
        read_at = utc_now()
        before_last = Cursor(last.epoch, max(0, last.n - 1))
        streamed: Sequence[tuple[Cursor, Event]] | None = None
        # The lost connection may be all that is wrong; but once a read has failed too, none is tried before it is back.
        if self._channels.up.is_set() or not self._streams_away:
            streamed = await self._catch_up.read_stream(watch.task_id, before_last)
            self._streams_away = streamed is None
        try:
            task = await self._stored.reread(watch.task)
        except Unavailable:
            return Sources(None, streamed, read_at)
        if task is None:
            raise NotFound("task", watch.task_id)
        return Sources(task, streamed, read_at)


def _check_cursor(sources: Sources, after: Cursor) -> None:
    """Refuse a cursor of an epoch that never was. Raises BadUserInput, and Unavailable if that can't be told.

    One that is greater than the known ids of the present epoch is not refused: Redis may have lost what the client saw.
    """
    if sources.task is None:
        raise Unavailable("MongoDB")
    if after.epoch > sources.task.epoch and not sources.task.status.is_terminal:
        raise BadUserInput("after", f"a cursor of this task, which is at {sources.task.cursor}", got=str(after))


def _delivery(sources: Sources) -> Delivery:
    return Delivery.DEGRADED if sources.streamed is None else Delivery.LIVE
