"""One subscriber of the board: the tasks that it is still to be told of, each as it is now."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import timedelta
from uuid import UUID

from core.clock import utc_now
from core.errors import HeadwayError
from core.states import TaskStatus
from gateway.relay.board_filter import BoardFilter
from gateway.relay.board_tasks import is_further
from gateway.relay.snapshot import Snapshot
from gateway.relay.stored import Position

WAITING_LIMIT = 10_000
"""Tasks that may wait for one subscriber."""
CROWDED = WAITING_LIMIT // 2
"""From so many on, a round begins before its time."""
LOOK_BACK_S = 5.0
"""A board begins with what changed so shortly before: what happened since its reader listed the tasks."""
BEGIN_WITHIN_S = 2.0
"""How long the first round waits for what changed before, if MongoDB is slow."""
YIELD_EVERY = 20
"""Tasks handed out without letting the event loop go on; a socket with room in its buffer never waits."""


class FellBehind(HeadwayError):
    """The subscriber reads so slowly that not even the latest of every task can be kept for it."""

    code = "FELL_BEHIND"

    def __init__(self) -> None:
        super().__init__(f"More than {WAITING_LIMIT:,} tasks wait to be read; subscribe and list the tasks again")


class Slot:
    """Hands out in rounds, at most `max_hz` a second; a round tells each task that moved once, as it is by then."""

    def __init__(self, filter_: BoardFilter, max_hz: float) -> None:
        self.filter = filter_
        self.since = utc_now() - timedelta(seconds=LOOK_BACK_S)
        self.period_s = 1.0 / max_hz
        self.roomy = asyncio.Event()
        """Set while not many tasks wait, or there is no use in waiting for the subscriber."""
        self.roomy.set()
        self._round: OrderedDict[UUID, Snapshot] = OrderedDict()
        self._waiting: OrderedDict[UUID, Snapshot] = OrderedDict()
        self._next_at = asyncio.get_running_loop().time() + BEGIN_WITHIN_S
        self._begun = False
        self._early: OrderedDict[UUID, Position] | None = OrderedDict()
        """What was handed out while the feed may still offer what changed before, and that again; None afterwards."""
        self.handed_out = 0
        self._failure: HeadwayError | None = None
        self._moved = asyncio.Event()

    def __len__(self) -> int:
        return len(self._round) + len(self._waiting)

    def offer(self, snapshot: Snapshot, earlier: Callable[[], Iterable[TaskStatus]]) -> None:
        """Keep the task for the subscriber if its filter tells of it, in place of what was kept of it before."""
        task = snapshot.task
        if self._failure is not None or not self.filter.tells(task, earlier):
            return
        kept = self._round if task.id in self._round else self._waiting
        if task.id in kept and kept[task.id].task.cursor > task.cursor:
            return
        if self._early is not None and not is_further(Position.of_task(task), self._early.get(task.id)):
            return
        before = len(self)
        kept[task.id] = snapshot
        if len(self) > WAITING_LIMIT:
            self.fail(FellBehind())
        elif before < CROWDED <= len(self):
            self.roomy.clear()
        self._moved.set()

    def begin(self) -> None:
        """Start the first round: what changed before the subscriber came has been offered, too."""
        if not self._begun:
            self._begun = True
            self._next_at = 0.0
        self._moved.set()

    def introduced(self) -> None:
        """Take note that all that changed before the subscriber came has been offered."""
        self._early = None

    def fail(self, failure: HeadwayError) -> None:
        """End the subscriber with this error instead of what waits for it."""
        self._failure = failure
        self._round.clear()
        self._waiting.clear()
        self.roomy.set()
        self._moved.set()

    async def next(self) -> Snapshot:
        """Wait for the next task to tell of. Raises what the slot failed with."""
        loop = asyncio.get_running_loop()
        while self._failure is None:
            if self._round:
                return await self._pop()
            now = loop.time()
            if self._is_due(now):
                self._round, self._waiting = self._waiting, OrderedDict()
                self._next_at = now + self.period_s
                continue
            self._moved.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._next_at if self._waiting else None):
                    await self._moved.wait()
        raise self._failure

    def _is_due(self, now: float) -> bool:
        return len(self._waiting) >= CROWDED or (bool(self._waiting) and now >= self._next_at)

    async def _pop(self) -> Snapshot:
        task_id, snapshot = self._round.popitem(last=False)
        if self._early is not None:
            self._early[task_id] = Position.of_task(snapshot.task)
            if len(self._early) > WAITING_LIMIT:
                self._early.popitem(last=False)
        if len(self) < CROWDED:
            self.roomy.set()
        self.handed_out += 1
        if self.handed_out % YIELD_EVERY == 0:
            await asyncio.sleep(0)
        return snapshot
