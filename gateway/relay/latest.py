"""A follower of a task as it stands: it is handed the latest, as often as it asked for at most."""

import asyncio
from collections.abc import Callable
from typing import Any

from core.events import Cursor
from core.states import TERMINAL, TaskStatus
from gateway.relay.history import BEFORE_ALL, Told
from gateway.relay.snapshot import Snapshot
from gateway.relay.watch import Watch


class Follower:
    """One subscriber's slot: what it saw last, and when it may be handed more. It holds no document of its own."""

    __slots__ = ("_attempt", "_cursor", "_next_at", "_period_s", "_status", "_timer", "_waiter", "listener")

    def __init__(self, max_hz: float) -> None:
        self._period_s = 1.0 / max_hz
        self._next_at = 0.0
        self._cursor = BEFORE_ALL
        self._status: TaskStatus | None = None
        self._attempt = -1
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        """Set while there is news that has to wait for its turn."""
        self.listener: Callable[[Any], bool] | None = None

    def hear(self, watch: Watch, told: Told, last: Cursor, *, urgent: bool) -> bool:
        """Do as `wake` does: which event it was is no matter."""
        return self.wake(watch, urgent=urgent)

    def wake(self, watch: Watch, *, urgent: bool) -> bool:
        """Let it look at its watch again; one that was handed something just now only looks if it is urgent."""
        if urgent or self._timer is None:
            self._call(watch)
        return False

    async def next(self, watch: Watch) -> Snapshot:
        """Wait for a snapshot later than the last one, and return the latest. Raises what the watch failed with.

        Progress comes at most `max_hz` times a second; another status, another attempt and the end come at once.
        Raises StopAsyncIteration once the end was handed out.
        """
        loop = asyncio.get_running_loop()
        while True:
            if self._status in TERMINAL:
                raise StopAsyncIteration
            if watch.failure is not None:
                raise watch.failure
            if self._is_due(watch):
                return self._handed_out(watch)
            waiter = self._waiter = loop.create_future()
            try:
                await waiter
            finally:
                if self._waiter is waiter:
                    self._waiter = None
                    self._disarm()

    def is_up_to_date(self, watch: Watch) -> bool:
        """Whether what is known was handed out, or waits for its turn."""
        is_over = watch.ended or watch.failure is not None
        return not is_over and (self._timer is not None or watch.cursor <= self._cursor)

    def stop(self) -> None:
        """Call nobody any more."""
        self.listener = None
        self._disarm()

    def _is_due(self, watch: Watch) -> bool:
        """Return whether there is something to be handed out now; if it has to wait, see to being called then."""
        if watch.status is None or not (watch.cursor > self._cursor or watch.ended):
            return False
        loop = asyncio.get_running_loop()
        is_urgent = watch.status is not self._status or watch.attempt != self._attempt
        if is_urgent or loop.time() >= self._next_at:
            return True
        if self._timer is None:
            self._timer = loop.call_at(self._next_at, self._ring, watch)
        return False

    def _handed_out(self, watch: Watch) -> Snapshot:
        snapshot = watch.snapshot
        assert snapshot is not None
        self._disarm()
        self._cursor, self._status, self._attempt = watch.cursor, watch.status, watch.attempt
        self._next_at = asyncio.get_running_loop().time() + self._period_s
        return snapshot

    def _ring(self, watch: Watch) -> None:
        self._timer = None
        self._call(watch)

    def _call(self, watch: Watch) -> None:
        if self.listener is None:
            if self._waiter is not None and not self._waiter.done():
                self._waiter.set_result(None)
        elif watch.ended or watch.failure is not None:
            self.listener(None)
        elif self._is_due(watch) and self.listener(watch.snapshot):
            self._handed_out(watch)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
