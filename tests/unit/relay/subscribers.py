"""Subscribers for tests: one of snapshots, and one of every event, which may be slow and may break off."""

import asyncio
from contextlib import aclosing

from core.documents import Task
from core.errors import Unavailable
from core.events import Cursor, StateChanged
from gateway.relay import Relay, Snapshot
from gateway.relay.fold import is_next
from gateway.relay.history import BEFORE_ALL, Gap, Told
from tests.unit.relay.world import World

UNLIMITED_HZ = 1e9
"""So that a follower is handed all it is awake for: the rate has tests of its own."""


class Follower:
    """A subscriber, and all it got."""

    def __init__(self, relay: Relay, task: Task) -> None:
        self.seen: list[Snapshot] = []
        self.failed = False
        self.running = asyncio.get_running_loop().create_task(self._follow(relay, task))

    async def _follow(self, relay: Relay, task: Task) -> None:
        try:
            async with aclosing(relay.follow(task.id, max_hz=UNLIMITED_HZ)) as snapshots:
                async for snapshot in snapshots:
                    self.seen.append(snapshot)
        except Unavailable:
            assert not self.seen, "only a join may fail"
            self.failed = True


class Reader:
    """A subscriber to every event, and all it got on its connections one after another."""

    def __init__(self, relay: Relay, task: Task) -> None:
        self.seen: list[Told] = []
        self.reading = asyncio.Event()
        self.reading.set()
        self._relay = relay
        self._task = task
        self._checked = 0
        self.running = asyncio.get_running_loop().create_task(self._follow())

    @property
    def is_done(self) -> bool:
        """Whether it has got the end."""
        return self.running.done() and bool(self.seen) and is_end(self.seen[-1])

    def check(self, world: World) -> None:
        """Check what it got, if that is more than it was."""
        if len(self.seen) > self._checked:
            check(self.seen, world)
            self._checked = len(self.seen)

    async def rejoin(self) -> None:
        """Break off and go on from the last id."""
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)
        self.running = asyncio.get_running_loop().create_task(self._follow())

    async def _follow(self) -> None:
        after = self.seen[-1].cursor if self.seen else BEFORE_ALL
        events = self._relay.follow_events(self._task.id, after=after, may_see=lambda owner: owner == "local")
        try:
            async with aclosing(events) as told:
                async for event in told:
                    self.seen.append(event)
                    await self.reading.wait()
        except Unavailable:
            assert not self.seen or self.seen[-1].cursor == after, "only a join may fail"


def is_end(told: Told) -> bool:
    return isinstance(told.event, StateChanged) and told.event.status.is_terminal


def check(seen: list[Told], world: World) -> None:
    """Check that nothing is told wrongly, twice or out of order, and nothing is left out without a word."""
    latest, last = BEFORE_ALL, BEFORE_ALL
    gap: Told | None = None
    for told in seen:
        assert told.cursor > latest
        if isinstance(told.event, Gap):
            # A second one may follow if the connection broke at the first and what came after it has gone too.
            assert told.event.after == (last if gap is None else gap.cursor)
            assert latest <= told.event.after < told.cursor < told.event.before
            gap = told
        else:
            assert told.event == world.events[told.cursor]
            assert gap is None or is_next(gap.cursor, told.cursor)
            _check_left_out(world, last, told.cursor, is_told_of=gap is not None)
            last, gap = told.cursor, None
        latest = told.cursor
    assert [is_end(told) for told in seen[:-1]] == [False] * (len(seen) - 1)


def _check_left_out(world: World, last: Cursor, cursor: Cursor, *, is_told_of: bool) -> None:
    left_out = {other for other in world.events if last < other < cursor}
    assert not any(isinstance(world.events[other], StateChanged) for other in left_out), "a state was left out"
    assert is_told_of or not left_out & world.heard_of, "events were left out without a gap"
    if is_told_of:
        assert left_out or cursor.epoch > last.epoch, "a gap where nothing is missing"
