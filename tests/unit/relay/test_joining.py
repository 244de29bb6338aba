"""The joining rule against a simple model: whatever is delayed, lost, repeated or away, at every point.

The relay is the real one; MongoDB and Redis are in memory and answer when the machine says so.
"""

import asyncio
from contextlib import aclosing
from itertools import pairwise
from typing import cast

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from redis.asyncio import Redis

from core.documents import Task
from core.errors import Unavailable
from core.events import Cursor
from core.states import CLAIMABLE, HELD, TaskStatus
from gateway.relay import Relay, Snapshot, channels
from tests.unit.relay.world import NAMESPACE, FakeRedis, FakeStored, FakeStreams, World

TURNS = 12
"""Turns of the event loop after each step: enough for everything that can go on by itself."""


class Follower:
    """A subscriber, and all it got."""

    def __init__(self, relay: Relay, task: Task) -> None:
        self.seen: list[Snapshot] = []
        self.failed = False
        self.running = asyncio.get_running_loop().create_task(self._follow(relay, task))

    async def _follow(self, relay: Relay, task: Task) -> None:
        try:
            async with aclosing(relay.follow(task.id, max_hz=60)) as snapshots:
                async for snapshot in snapshots:
                    self.seen.append(snapshot)
        except Unavailable:
            assert not self.seen, "only a join may fail"
            self.failed = True


class Joining(RuleBasedStateMachine):
    """Steps of the writers, of the network and of followers, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(channels, "RECONNECT_S", (0.0, 0.0))
        self.loop = asyncio.new_event_loop()
        self.world = World()
        self.followers: list[Follower] = []

    @initialize()
    def start(self) -> None:
        self.loop.run_until_complete(self._start())

    async def _start(self) -> None:
        redis = cast("Redis", FakeRedis(self.world))
        self.relay = Relay(redis, FakeStreams(self.world), NAMESPACE, stored=FakeStored(self.world))
        entering = asyncio.create_task(self.relay.__aenter__())
        while not entering.done():
            await asyncio.sleep(0)
            self._let_go()
        await entering

    def _let_go(self) -> None:
        if self.world.pubsub is not None and self.world.pubsub.sent:
            self.world.pubsub.arrive()

    async def _turns(self) -> None:
        for _ in range(TURNS):
            await asyncio.sleep(0)

    @rule()
    def join(self) -> None:
        async def joined() -> None:
            self.followers.append(Follower(self.relay, self.world.document))

        if len(self.followers) < 4:
            self.loop.run_until_complete(joined())

    @precondition(lambda self: self.followers)
    @rule(which=st.integers(0, 3))
    def leave(self, which: int) -> None:
        follower = self.followers.pop(which % len(self.followers))
        follower.running.cancel()
        self.loop.run_until_complete(asyncio.gather(follower.running, return_exceptions=True))

    @precondition(lambda self: self.world.document.status is TaskStatus.PENDING)
    @rule()
    def queue(self) -> None:
        self.world.change(Cursor(self.world.document.epoch, 2), TaskStatus.QUEUED)

    @precondition(lambda self: self.world.document.status in CLAIMABLE)
    @rule()
    def claim(self) -> None:
        self.world.change(Cursor(self.world.document.epoch + 1, 1), TaskStatus.RUNNING, attempts=1)

    @precondition(lambda self: self.world.document.status in HELD)
    @rule(times=st.integers(1, 5))
    def progress(self, times: int) -> None:
        for _ in range(times):
            self.world.progress()

    @precondition(lambda self: self.world.document.status in HELD)
    @rule()
    def save_progress(self) -> None:
        self.world.save_progress()

    @precondition(lambda self: self.world.document.status is TaskStatus.RUNNING)
    @rule(to=st.sampled_from([TaskStatus.CANCELLING, TaskStatus.QUEUED]))
    def go_on(self, to: TaskStatus) -> None:
        head = self.world.head
        taken = to is TaskStatus.QUEUED
        self.world.change(Cursor(head.epoch + 1, 1) if taken else Cursor(head.epoch, head.n + 1), to)

    @precondition(lambda self: self.world.document.status in HELD)
    @rule(to=st.sampled_from([TaskStatus.SUCCEEDED, TaskStatus.FAILED, TaskStatus.CANCELLED]))
    def end(self, to: TaskStatus) -> None:
        self.world.change(Cursor(self.world.head.epoch, self.world.head.n + 1), to, carry=True)

    @precondition(lambda self: self.world.untold)
    @rule(which=st.integers(0, 9))
    def tell(self, which: int) -> None:
        """Late and out of order too: then the stream refuses it, unless it was wiped."""
        self.world.tell(*self.world.untold.pop(which % len(self.world.untold)))

    @precondition(lambda self: self.world.untold)
    @rule()
    def die_before_telling(self) -> None:
        self.world.untold.pop()

    @precondition(lambda self: self.world.pubsub and self.world.pubsub.sent)
    @rule(how=st.sampled_from(["arrive", "arrive", "arrive", "again", "drop"]))
    def deliver(self, how: str) -> None:
        assert self.world.pubsub is not None
        if how == "drop":
            self.world.pubsub.drop()
        else:
            self.world.pubsub.arrive(again=how == "again")

    @precondition(lambda self: self.world.questions)
    @rule(which=st.integers(0, 9))
    def answer(self, which: int) -> None:
        which %= len(self.world.questions)
        if self.world.questions[which].step():
            del self.world.questions[which]

    @precondition(lambda self: self.world.stream)
    @rule(keep=st.integers(0, 2))
    def wipe_or_trim(self, keep: int) -> None:
        kept = sorted(self.world.stream)[len(self.world.stream) - keep :]
        self.world.stream = {cursor: self.world.stream[cursor] for cursor in kept}

    @rule()
    def break_or_mend_redis(self) -> None:
        self.world.redis_up = not self.world.redis_up
        if not self.world.redis_up and self.world.pubsub is not None:
            self.world.pubsub.close()

    @rule()
    def break_or_mend_mongo(self) -> None:
        self.world.mongo_up = not self.world.mongo_up

    @rule()
    def poll(self) -> None:
        self.relay.poll_soon()

    @invariant()
    def promises_hold(self) -> None:
        if not hasattr(self, "relay"):
            return
        self.loop.run_until_complete(self._turns())
        assert self.relay.subscribers == sum(not follower.running.done() for follower in self.followers)
        assert self.relay.watched <= 1
        for follower in self.followers:
            if follower.running.done():
                follower.running.result()
            self._check(follower.seen)

    def _check(self, seen: list[Snapshot]) -> None:
        for snapshot in seen:
            assert self.world.truth[snapshot.task.cursor] is snapshot.task.status
            assert (snapshot.task.result is not None) is (snapshot.task.status is TaskStatus.SUCCEEDED)
        for earlier, later in pairwise(snapshot.task for snapshot in seen):
            assert earlier.cursor < later.cursor
            assert not earlier.status.is_terminal
            assert later.attempt > earlier.attempt or later.progress.current >= earlier.progress.current

    def teardown(self) -> None:
        try:
            if hasattr(self, "relay"):
                self.loop.run_until_complete(self._finish())
        finally:
            self.loop.close()
            self.patch.undo()

    async def _finish(self) -> None:
        """With everything back, every follower gets the end, which nobody tells any more."""
        self.world.redis_up = self.world.mongo_up = True
        if not self.world.document.status.is_terminal:
            self.world.change(Cursor(self.world.head.epoch + 1, 1), TaskStatus.CANCELLED, carry=True)
        async with asyncio.timeout(10):
            while not all(follower.running.done() for follower in self.followers):
                self._let_go()
                self.world.questions = [question for question in self.world.questions if not question.step()]
                self.relay.poll_soon()
                await asyncio.sleep(0.001)
        for follower in self.followers:
            follower.running.result()
            self._check(follower.seen)
            assert follower.failed or follower.seen[-1].task.status.is_terminal
        assert (self.relay.watched, self.relay.subscribers) == (0, 0)
        await self.relay.__aexit__(None, None, None)


Joining.TestCase.settings = settings(
    max_examples=100, stateful_step_count=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestJoining = Joining.TestCase
