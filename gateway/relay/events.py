"""Follows every event of a watched task: from what is kept of the latest ones, or else from stream and document."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from core.clock import utc_now
from core.errors import BadUserInput, NotFound, Unavailable
from core.events import Cursor, Event
from core.states import Delivery
from gateway.relay.catchup import CatchUp
from gateway.relay.channels import Channels
from gateway.relay.fold import is_end
from gateway.relay.history import BEFORE_ALL, Entry, Gap, Recent, Sources, Told
from gateway.relay.stored import StoredTasks
from gateway.relay.watch import Watch

PATIENCE_S = 0.25
"""How long an event waits for those before it that may be on their way to the stream; then they count as missing."""
AGAIN_S = 1.0
"""Pause between two looks for what is known to have happened but can't be read."""


class Events:
    """Reads what followers of every event need beside the latest ones, which their watch keeps."""

    def __init__(self, stored: StoredTasks, catch_up: CatchUp, channels: Channels) -> None:
        self._stored = stored
        self._catch_up = catch_up
        self._channels = channels
        self._streams_away = False

    async def read(self, watch: Watch, last: Cursor) -> Sources:
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


class EventFollower:
    """One subscriber to every event of a task: what it has read, and the id of the last event that it was handed.

    A slow reader holds up nobody: what has gone from the stream until it asks for more is a Gap to it.
    """

    __slots__ = ("_events", "_has_begun", "_is_over", "_may_see", "_read", "_waiter", "cursor", "listener")

    def __init__(self, events: Events, after: Cursor, may_see: Callable[[str], bool]) -> None:
        self.cursor = after
        self.listener: Callable[[Any], bool] | None = None
        self._events = events
        self._may_see = may_see
        self._read: list[Told] = []
        """What is to be handed out before anything else, the next one last."""
        self._waiter: asyncio.Future[None] | None = None
        self._has_begun = self._is_over = False

    def hear(self, watch: Watch, told: Told, last: Cursor, *, urgent: bool) -> bool:
        """Hand out an event that follows on `last` if that is what was handed out before."""
        if self.listener is None or self.cursor != last:
            return self.wake(watch, urgent=urgent)
        if not self.listener(told):
            return True
        self.cursor = told.cursor
        return False

    def wake(self, watch: Watch, *, urgent: bool) -> bool:
        """Let it look at its watch again."""
        if self.listener is not None:
            if not self.is_up_to_date(watch):
                self.listener(None)
        elif self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        return self.cursor < watch.cursor

    def is_up_to_date(self, watch: Watch) -> bool:
        """Whether it was handed the latest event, and more may come."""
        is_over = watch.ended or watch.failure is not None
        return not is_over and not self._read and watch.recent is not None and self.cursor >= watch.cursor

    def stop(self) -> None:
        """Call nobody any more."""
        self.listener = None

    async def next(self, watch: Watch) -> Told:
        """Wait for the next event. Raises what the watch fails with, and StopAsyncIteration after the end."""
        if not self._has_begun:
            await self._begin(watch)
        if not self._read and not self._is_over:
            self._read = (await self._later(watch))[::-1]
        if self._is_over or not self._read:
            raise StopAsyncIteration
        told = self._read.pop()
        self.cursor = told.cursor
        self._is_over = not isinstance(told.event, Gap) and is_end(told.event)
        return told

    async def _begin(self, watch: Watch) -> None:
        if watch.failure is not None:
            raise watch.failure
        if not self._may_see(watch.task.owner):
            raise NotFound("task", watch.task_id)
        if watch.recent is None:
            watch.recent = Recent(watch.cursor)
        sources = await self._events.read(watch, self.cursor)
        _check_cursor(sources, self.cursor)
        entries, _ = sources.after(self.cursor, BEFORE_ALL)
        self._read = _told(entries, sources)[::-1]
        self._has_begun = True

    async def _later(self, watch: Watch) -> list[Told]:
        """Wait for more events; there are none only if the follower has seen the end."""
        waited_for = BEFORE_ALL
        while True:
            if watch.failure is not None:
                raise watch.failure
            recent = None if watch.recent is None else watch.recent.after(self.cursor)
            if recent:
                return recent
            if recent is None:
                sources = await self._events.read(watch, self.cursor)
                entries, waiting = sources.after(self.cursor, waited_for)
                if entries:
                    return _told(entries, sources)
            if watch.ended and self.cursor >= watch.cursor:
                return []
            if recent is not None:
                await self._wait()
            elif sources.task is not None and waiting is not None:
                await asyncio.sleep(PATIENCE_S)
                waited_for = waiting
            else:
                await asyncio.sleep(AGAIN_S)

    async def _wait(self) -> None:
        waiter = self._waiter = asyncio.get_running_loop().create_future()
        try:
            await waiter
        finally:
            if self._waiter is waiter:
                self._waiter = None


def _told(entries: Sequence[Entry], sources: Sources) -> list[Told]:
    delivery = Delivery.LIVE if sources.streamed is not None else Delivery.DEGRADED
    return [Told(cursor, event, delivery) for cursor, event in entries]


def _check_cursor(sources: Sources, after: Cursor) -> None:
    """Refuse a cursor of an epoch that never was. Raises BadUserInput, and Unavailable if that can't be told.

    One that is greater than the known ids of the present epoch is not refused: Redis may have lost what the client saw.
    """
    if sources.task is None:
        raise Unavailable("MongoDB")
    if after.epoch > sources.task.epoch and not sources.task.status.is_terminal:
        raise BadUserInput("after", f"a cursor of this task, which is at {sources.task.cursor}", got=str(after))
