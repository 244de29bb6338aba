"""The joining rule against a simple model: whatever is delayed, lost, repeated or away, at every point.

The relay is the real one; MongoDB and Redis are in memory and answer when the machine says so.
"""

import asyncio
from datetime import timedelta
from itertools import pairwise
from typing import cast

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from redis.asyncio import Redis

from core.events import Cursor
from core.states import CLAIMABLE, HELD, TaskStatus
from gateway.relay import Relay, Snapshot, channels, events, history, relay
from tests.unit.relay.subscribers import UNLIMITED_HZ, Follower, Reader
from tests.unit.relay.world import NAMESPACE, FakeRedis, FakeStored, FakeStreams, World

TURNS = 12
"""Turns of the event loop after each step: enough for everything that can go on by itself."""
OUTAGES = 2
CHANGES = [TaskStatus.QUEUED] * 4 + [TaskStatus.CANCELLING] * 4 + [TaskStatus.SUCCEEDED] * 2 + [TaskStatus.FAILED]
TOLD = st.sampled_from([True, True, True, False])
NETWORK = st.lists(st.sampled_from(["arrive"] * 5 + ["answer"] * 5 + ["last answer", "again", "drop"]), min_size=1)


class Joining(RuleBasedStateMachine):
    """Steps of the writers, of the network and of followers, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(channels, "RECONNECT_S", (0.0, 0.0))
        self.patch.setattr(relay, "MAX_HZ", UNLIMITED_HZ)
        self.patch.setattr(events, "PATIENCE_S", 0.0)
        self.patch.setattr(events, "AGAIN_S", 0.02)
        self.patch.setattr(history, "RECENT_LIMIT", 2)
        self.patch.setattr(history, "ON_THE_WAY", timedelta(days=36500))
        self.loop = asyncio.new_event_loop()
        self.world = World()
        self.followers: list[Follower] = []
        self.readers: list[Reader] = []
        self.outages = 0

    @property
    def running(self) -> list[asyncio.Task[None]]:
        """Whatever follows."""
        return [*(follower.running for follower in self.followers), *(reader.running for reader in self.readers)]

    @initialize(running=st.booleans(), joined=st.booleans())
    def start(self, running: bool, joined: bool) -> None:
        if running:
            self.world.tell(*self.world.untold.pop())
            self._claim(told=True)
        self.loop.run_until_complete(self._start())
        if joined:
            self.join()
            self.loop.run_until_complete(self._settled())

    async def _start(self) -> None:
        redis = cast("Redis", FakeRedis(self.world))
        self.relay = Relay(redis, FakeStreams(self.world), NAMESPACE, stored=FakeStored(self.world))
        entering = asyncio.create_task(self.relay.__aenter__())
        while not entering.done():
            await asyncio.sleep(0)
            self._step("arrive")
        await entering

    async def _settled(self) -> None:
        """Let everything go until nothing is under way."""
        while True:
            await self._turns()
            if not self.world.questions and not (self.world.pubsub and self.world.pubsub.sent):
                return
            self._step("arrive")
            self._step("answer")

    async def _turns(self) -> None:
        for _ in range(TURNS):
            await asyncio.sleep(0)

    @rule()
    def join(self) -> None:
        async def joined() -> None:
            self.followers.append(Follower(self.relay, self.world.document))

        if len(self.followers) < 4:
            self.loop.run_until_complete(joined())

    @rule()
    def read_all(self) -> None:
        async def joined() -> None:
            self.readers.append(Reader(self.relay, self.world.document))

        if len(self.readers) < 2:
            self.loop.run_until_complete(joined())

    @precondition(lambda self: self.readers)
    @rule(which=st.integers(0, 1))
    def break_off_and_resume(self, which: int) -> None:
        self.loop.run_until_complete(self.readers[which % len(self.readers)].rejoin())

    @precondition(lambda self: self.readers)
    @rule(which=st.integers(0, 1))
    def stop_or_start_reading(self, which: int) -> None:
        reading = self.readers[which % len(self.readers)].reading
        (reading.clear if reading.is_set() else reading.set)()

    @precondition(lambda self: len(self.followers) > 1)
    @rule(which=st.integers(0, 3))
    def leave(self, which: int) -> None:
        follower = self.followers.pop(which % len(self.followers))
        follower.running.cancel()
        self.loop.run_until_complete(asyncio.gather(follower.running, return_exceptions=True))

    def _change(
        self, cursor: Cursor, status: TaskStatus, told: bool, *, attempts: int = 0, carry: bool = False
    ) -> None:
        self.world.change(cursor, status, attempts=attempts, carry=carry)
        if told:
            self.world.tell(*self.world.untold.pop())

    def _claim(self, told: bool) -> None:
        self._change(Cursor(self.world.document.epoch + 1, 1), TaskStatus.RUNNING, told, attempts=1)

    @precondition(lambda self: self.world.document.status in CLAIMABLE)
    @rule(told=TOLD, steps=NETWORK)
    def start_up(self, told: bool, steps: list[str]) -> None:
        if self.world.document.status is TaskStatus.PENDING:
            self._change(Cursor(self.world.document.epoch, 2), TaskStatus.QUEUED, told)
        else:
            self._claim(told)
        self.let_go(steps)

    @precondition(lambda self: self.world.document.status in HELD)
    @rule(said=st.lists(st.sampled_from("pppl"), min_size=1, max_size=5), saved=st.booleans(), told=TOLD, steps=NETWORK)
    def progress(self, said: list[str], saved: bool, told: bool, steps: list[str]) -> None:
        for what in said:
            self.world.untold.append(self.world.progress() if what == "p" else self.world.log())
            if told:
                self.world.tell(*self.world.untold.pop())
        if saved:
            self.world.save_progress()
        self.let_go(steps)

    @precondition(lambda self: self.world.document.status in HELD)
    @rule(to=st.sampled_from(CHANGES), told=TOLD, steps=NETWORK)
    def change(self, to: TaskStatus, told: bool, steps: list[str]) -> None:
        head, running = self.world.head, self.world.document.status is TaskStatus.RUNNING
        if to is TaskStatus.QUEUED and running:
            self._change(Cursor(head.epoch + 1, 1), to, told)
        elif to.is_terminal or running:
            self._change(Cursor(head.epoch, head.n + 1), to, told, carry=to.is_terminal)
        self.let_go(steps)

    @precondition(lambda self: self.world.untold)
    @rule(which=st.integers(0, 9))
    def tell_late(self, which: int) -> None:
        """Out of order too: then the stream refuses it, unless it was wiped. What is never told, a crash took."""
        self.world.tell(*self.world.untold.pop(which % len(self.world.untold)))

    @rule(steps=NETWORK)
    def let_go(self, steps: list[str]) -> None:
        for step in steps:
            self._step(step)
            self.promises_hold()

    def _step(self, step: str) -> None:
        pubsub, questions = self.world.pubsub, self.world.questions
        if "answer" in step:
            which = 0 if step == "answer" else -1
            if questions and questions[which].step():
                del questions[which]
        elif pubsub is not None and pubsub.sent:
            if step == "drop":
                pubsub.drop()
            else:
                pubsub.arrive(again=step == "again")

    @precondition(lambda self: self.world.stream)
    @rule(keep=st.integers(0, 2))
    def wipe_or_trim(self, keep: int) -> None:
        kept = sorted(self.world.stream)[len(self.world.stream) - keep :]
        self.world.stream = {cursor: self.world.stream[cursor] for cursor in kept}

    @precondition(lambda self: self.world.redis_up and self.outages < OUTAGES)
    @rule()
    def break_redis(self) -> None:
        self.outages += 1
        self.world.redis_up = False
        if self.world.pubsub is not None:
            self.world.pubsub.close()

    @precondition(lambda self: self.world.mongo_up and self.outages < OUTAGES)
    @rule()
    def break_mongo(self) -> None:
        self.outages += 1
        self.world.mongo_up = False

    @precondition(lambda self: not (self.world.redis_up and self.world.mongo_up))
    @rule()
    def mend(self) -> None:
        self.world.mend()

    @rule()
    def settle(self) -> None:
        self.loop.run_until_complete(self._settled())

    @rule()
    def poll(self) -> None:
        self.relay._poll.hurry()

    @invariant()
    def promises_hold(self) -> None:
        if not hasattr(self, "relay"):
            return
        self.loop.run_until_complete(self._turns())
        assert self.relay.subscribers == sum(not running.done() for running in self.running)
        assert self.relay.watched <= 1
        for reader in self.readers:
            if reader.running.done():
                reader.running.result()
            reader.check(self.world)
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
            self.loop.run_until_complete(self._clear())
            self.loop.close()
            self.patch.undo()

    async def _finish(self) -> None:
        """With everything back, every follower gets the end, which nobody tells any more."""
        self.world.mend()
        if not self.world.document.status.is_terminal:
            self.world.change(Cursor(self.world.head.epoch + 1, 1), TaskStatus.CANCELLED, carry=True)
        for reader in self.readers:
            reader.reading.set()
        async with asyncio.timeout(10):
            while not (all(one.running.done() for one in self.followers) and all(one.is_done for one in self.readers)):
                for reader in self.readers:
                    if reader.running.done() and not reader.is_done:
                        await reader.rejoin()
                self._step("arrive")
                self._step("answer")
                self.relay._poll.hurry()
                await asyncio.sleep(0.001)
        for follower in self.followers:
            follower.running.result()
            self._check(follower.seen)
            assert follower.failed or follower.seen[-1].task.status.is_terminal
        for reader in self.readers:
            reader.running.result()
            reader.check(self.world)
            assert reader.is_done
        assert (self.relay.watched, self.relay.subscribers) == (0, 0)

    async def _clear(self) -> None:
        """Leave nothing running, after a failure too."""
        for running in self.running:
            running.cancel()
        await asyncio.gather(*self.running, return_exceptions=True)
        await self._settled()
        if hasattr(self, "relay"):
            await self.relay.__aexit__(None, None, None)


Joining.TestCase.settings = settings(
    max_examples=500, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestJoining = pytest.mark.timeout(300)(Joining.TestCase)
