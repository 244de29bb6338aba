"""Asks MongoDB about the watched tasks: for all news while Redis is away, for what is missing while it is there."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from uuid import UUID

from core.documents import Task
from core.errors import NotFound, Unavailable
from core.telemetry import get_logger
from gateway.relay.catchup import CatchUp
from gateway.relay.channels import Channels
from gateway.relay.stored import Position, StoredTasks
from gateway.relay.watch import Watch

log = get_logger(__name__)
POLL_EVERY_S = 1.0
COMPARE_EVERY = 2
"""Polls from one comparison of the live tasks to the next."""


class Poll:
    """A look each second at the tasks whose events do not come by Redis, every two seconds at the others."""

    def __init__(
        self,
        watches: Callable[[], Iterable[Watch]],
        stored: StoredTasks,
        channels: Channels,
        catch_up: CatchUp,
        fail: Callable[[Watch, Exception], None],
    ) -> None:
        self._watches = watches
        self._stored = stored
        self._channels = channels
        self._catch_up = catch_up
        self._fail = fail
        self._now = asyncio.Event()
        self._stopping = False

    def hurry(self) -> None:
        """Have the next poll at once."""
        self._now.set()

    def stop(self) -> None:
        """Have `run` end rather than go on, even if a driver swallows its cancellation."""
        self._stopping = True

    async def run(self) -> None:
        """Poll until cancelled after `stop`. MongoDB may be away: then the next turn asks again."""
        turn = 0
        while not self._stopping:
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_EVERY_S):
                    await self._now.wait()
            self._now.clear()
            turn += 1
            try:
                await self._poll_degraded()
                if turn % COMPARE_EVERY == 0:
                    await self._compare_live()
            except Unavailable:
                log.debug("MongoDB does not answer the relay's poll.")
            except Exception:
                log.exception("The relay's poll ended by a bug; the next one is due.")

    async def _poll_degraded(self) -> None:
        watches = [watch for watch in self._watches() if watch.status and not watch.ended and not watch.live]
        if not watches:
            return
        moved, gone = await self._stored.moved({watch.task_id: watch.cursor for watch in watches})
        later: Mapping[UUID, Task] = {}
        if moved:
            later, gone_since = await self._stored.reread_all(
                [watch.task for watch in watches if watch.task_id in moved]
            )
            gone |= gone_since
        for watch in watches:
            if watch.task_id in gone:
                self._fail(watch, NotFound("task", watch.task_id))
                continue
            if watch.task_id in later:
                watch.take(later[watch.task_id])
            if self._channels.is_confirmed(watch.channel):
                self._catch_up.request(watch)

    async def _compare_live(self) -> None:
        watches = [watch for watch in self._watches() if watch.live and not watch.ended]
        if not watches:
            return
        moved, gone = await self._stored.moved({watch.task_id: watch.cursor for watch in watches})
        for watch in watches:
            if watch.task_id in gone:
                self._fail(watch, NotFound("task", watch.task_id))
            elif watch.held or _is_behind(watch, moved.get(watch.task_id)):
                self._catch_up.request(watch, reread=True)


def _is_behind(watch: Watch, position: Position | None) -> bool:
    """Return whether it has not told by now what was stored a moment ago."""
    return position is not None and (position.cursor > watch.cursor or position.status.is_terminal)
