"""How often progress is sent, and that an orderly end loses nothing of what was told."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import pytest
import uvloop
from redis.exceptions import ConnectionError as RedisConnectionError

from core.clock import utc_now
from core.documents import Task
from core.events import Cursor, Progressed, StateChanged
from core.states import TaskStatus
from core.streams import EventStreams, StreamEvent
from jobs import progress
from jobs.attempt import Attempt
from jobs.ledger import Ledger
from jobs.pace import BURST, REFILL_S, Pace
from jobs.progress import TICK_S, Announcer


class KeptStreams(EventStreams):
    """Streams that keep in memory what is appended, as far as the way there is open; `is_away` is an outage."""

    def __init__(self) -> None:
        self.kept: list[StreamEvent] = []
        self.asked = asyncio.Event()
        self.opened = asyncio.Event()
        self.opened.set()
        self.is_away = False

    async def append(self, events: Sequence[StreamEvent]) -> list[bool]:
        """Keep them once the way is open."""
        self.asked.set()
        await self.opened.wait()
        if self.is_away:
            raise RedisConnectionError("away")
        self.kept += events
        return [True] * len(events)

    def counts(self) -> list[int]:
        """Return the progress that was appended."""
        return [event.event.current for event in self.kept if isinstance(event.event, Progressed)]

    def numbers(self) -> list[int]:
        """Return the numbers of the events."""
        return [event.cursor.n for event in self.kept]


def attempt_of(announcer: Announcer) -> Attempt:
    fields = {"kind": "k", "status": TaskStatus.RUNNING, "input": {}, "max_attempts": 3, "timeout_s": 1.0}
    return Attempt(Task.model_construct(**fields, epoch=2, n=1, attempt=1, id=UUID(int=1)), announcer.notice)


def state(n: int) -> StreamEvent:
    changed = StateChanged(at=utc_now(), attempt=1, status=TaskStatus.RUNNING)
    return StreamEvent(UUID(int=1), Cursor(2, n), changed)


class Clock:
    """Stands for the time of the running loop; it goes on only when it is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_000.0
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: self.now)


async def let_timers_ring() -> None:
    """Let the loop look at its clock, and then run what is due."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_ten_thousand_calls_in_a_second_are_sent_twenty_times_and_the_last_arrives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    streams = KeptStreams()
    announcer = Announcer(streams, Ledger("test"))
    attempt = attempt_of(announcer)
    clock = Clock(monkeypatch)
    for call in range(10_000):
        clock.now = 1_000.0 + call / 10_000
        attempt.say_progress(call + 1, 10_000, None)
        await let_timers_ring()
        await announcer.flush()
    clock.now += REFILL_S + TICK_S
    await let_timers_ring()
    await announcer.flush()
    counts = streams.counts()
    assert 15 <= len(counts) <= 20
    assert counts == sorted(set(counts))
    assert counts[-1] == 10_000


async def test_report_on_time_after_a_late_one_is_sent_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    streams = KeptStreams()
    announcer = Announcer(streams, Ledger("test"))
    attempt = attempt_of(announcer)
    clock = Clock(monkeypatch)
    for step, late_s in enumerate((0.0, 0.0, 0.06, 0.0, 0.03, 0.0, 0.0, 0.055, 0.01), 1):
        clock.now = 1_000.0 + step / 16 + late_s
        attempt.say_progress(step, None, None)
        await announcer.flush()
        assert streams.counts()[-1] == step


async def test_latest_of_a_burst_arrives_though_nothing_more_is_said() -> None:
    streams = KeptStreams()
    announcer = Announcer(streams, Ledger("test"))
    attempt = attempt_of(announcer)
    running = asyncio.create_task(announcer.run())
    try:
        for burst in range(BURST + 1):
            for call in range(1_000):
                attempt.say_progress(1_000 * burst + call, 10_000, None)
            async with asyncio.timeout(10):
                await streams.asked.wait()
            streams.asked.clear()
        assert streams.counts() == [1_000 * burst + 999 for burst in range(BURST + 1)]
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


class CountedPace(Pace):
    """A pace that counts how often it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = self.spent = 0

    def wait_s(self, now: float) -> float:
        """Count, and answer."""
        self.asked += 1
        return super().wait_s(now)

    def spend(self, now: float) -> None:
        """Count, and spend."""
        self.spent += 1
        super().spend(now)


def test_attempt_that_has_to_wait_is_looked_at_once_more() -> None:
    async def speak() -> CountedPace:
        announcer = Announcer(KeptStreams(), Ledger("test"))
        attempt = attempt_of(announcer)
        pace = attempt.pace = CountedPace()
        running = asyncio.create_task(announcer.run())
        while pace.spent < 20:
            attempt.say_progress(pace.spent, None, None)
            attempt.say_log("a line")
            await asyncio.sleep(0.001)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return pace

    pace = uvloop.run(speak())  # Its timers are coarse, as those of a worker are.
    assert pace.asked <= 2 * pace.spent + BURST


async def test_nothing_is_sent_of_an_attempt_that_is_forgotten_while_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    streams = KeptStreams()
    announcer = Announcer(streams, Ledger("test"))
    attempt = attempt_of(announcer)
    clock = Clock(monkeypatch)
    for said in range(BURST + 1):
        attempt.say_progress(said, None, None)
        await announcer.flush()
    announcer.forget(attempt)
    clock.now += 1.0
    await let_timers_ring()
    await announcer.flush()
    assert streams.counts() == list(range(BURST))


async def test_events_on_their_way_when_the_loop_is_ended_are_sent_by_the_last_flush() -> None:
    streams = KeptStreams()
    streams.opened.clear()
    announcer = Announcer(streams, Ledger("test"))
    attempt = attempt_of(announcer)
    running = asyncio.create_task(announcer.run())
    attempt.say_log("a line")
    attempt.say_progress(1, 2, None)
    announcer.tell(state(1))
    await streams.asked.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    announcer.tell(state(4))
    streams.opened.set()
    assert await announcer.flush()
    assert streams.numbers() == [1, 2, 3, 4]


async def test_progress_is_sent_behind_the_states_before_it_however_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "BATCH", 2)
    streams = KeptStreams()
    announcer = Announcer(streams, Ledger("test"))
    attempt = attempt_of(announcer)
    announcer.tell(*(state(attempt.reserve().n) for _ in range(5)))
    attempt.say_progress(1, 2, None)
    assert await announcer.flush()
    assert streams.numbers() == [2, 3, 4, 5, 6, 7]


async def test_states_that_wait_for_redis_keep_their_order_and_the_oldest_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "STATES_KEPT", 4)
    streams = KeptStreams()
    streams.is_away = True
    streams.opened.clear()
    announcer = Announcer(streams, Ledger("test"))
    announcer.tell(*map(state, range(1, 4)))
    flushing = asyncio.create_task(announcer.flush())
    await streams.asked.wait()
    announcer.tell(*map(state, range(4, 7)))
    streams.opened.set()
    assert not await flushing
    streams.is_away = False
    assert await announcer.flush()
    assert streams.numbers() == [3, 4, 5, 6]
