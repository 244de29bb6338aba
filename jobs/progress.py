"""Brings what attempts say to their followers: to the live streams at once, to MongoDB once a second.

One loop owns the way to Redis, so events leave in the order of their ids. While Redis is away changes of state are
kept, progress and lines are dropped: the latest progress is in MongoDB, where whoever follows reads it; a line is gone.
"""

import asyncio
from collections import deque
from collections.abc import Sequence

from pymongo.errors import PyMongoError
from redis.exceptions import RedisError

from core.clock import utc_now
from core.events import Progressed, StateChanged
from core.streams import EventStreams, StreamEvent
from core.telemetry import get_logger
from core.transitions import ProgressWrite
from jobs.attempt import Attempt
from jobs.ledger import Ledger
from jobs.metrics import PUBLISH_LAG

RECORD_EVERY_S = 1.0
RETRY_EVERY_S = 0.5
STATES_KEPT = 10_000
"""Changes of state that wait for Redis at most; older ones are left to MongoDB."""
BATCH = 500
TICK_S = 0.001
"""uvloop's clock and timers know whole milliseconds: a wait that is rounded down would end again and again."""

log = get_logger(__name__)


class Announcer:
    """Sends events of this process's attempts. Run its two loops as tasks; `tell` and `notice` only take notes."""

    def __init__(self, streams: EventStreams, ledger: Ledger) -> None:
        self._streams = streams
        self._ledger = ledger
        self._states: deque[StreamEvent] = deque(maxlen=STATES_KEPT)
        self._speaking: dict[Attempt, None] = {}
        self._waiting: dict[Attempt, asyncio.TimerHandle] = {}
        """Those that have something to say before their pace allows for it."""
        self._unrecorded: dict[Attempt, ProgressWrite] = {}
        self._wake = asyncio.Event()

    def tell(self, *events: StreamEvent) -> None:
        """Send these as soon as may be, in this order and after everything told before."""
        self._states.extend(events)
        self._wake.set()

    def notice(self, attempt: Attempt) -> None:
        """Remember that the attempt has something to say."""
        if attempt not in self._waiting:
            self._speaking[attempt] = None
            self._wake.set()

    def forget(self, attempt: Attempt) -> None:
        """Send nothing more of an attempt that has ended or lost its epoch."""
        self._speaking.pop(attempt, None)
        self._unrecorded.pop(attempt, None)
        if waiting := self._waiting.pop(attempt, None):
            waiting.cancel()

    async def run(self) -> None:
        """Send to the streams until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            if not await self.flush():
                await asyncio.sleep(RETRY_EVERY_S)
                self._wake.set()

    async def flush(self) -> bool:
        """Send what is due; return False if Redis did not take it."""
        while events := self._collect():
            sent = 0
            try:
                while sent < len(events):
                    await self._streams.append(events[sent : sent + BATCH])
                    sent += BATCH
                PUBLISH_LAG.observe((utc_now() - events[0].event.at).total_seconds())
            except (RedisError, OSError, TimeoutError) as exc:
                log.warning("Events wait for Redis", waiting=len(events), error=str(exc))
                self._give_back([event for event in events[sent:] if isinstance(event.event, StateChanged)])
                return False
            except asyncio.CancelledError:
                self._give_back(events[sent:])  # The last flush sends them; what did arrive is refused as a repeat.
                raise
        return True

    def _give_back(self, events: Sequence[StreamEvent]) -> None:
        """Put events back before those that wait; where there is no room for all, the older ones stay out."""
        room = STATES_KEPT - len(self._states)
        self._states.extendleft(reversed(events[-room:] if room else ()))

    def _collect(self) -> list[StreamEvent]:
        """Return all states that wait, then what attempts say: its stream takes nothing that is older than its last."""
        events = list(self._states)
        self._states.clear()
        loop = asyncio.get_running_loop()
        now = loop.time()
        for attempt in list(self._speaking):
            if attempt.is_writing_state:
                continue  # Its next event must not overtake the state being written; the writer wakes us again.
            del self._speaking[attempt]
            if wait_s := attempt.pace.wait_s(now):
                self._waiting[attempt] = loop.call_later(wait_s + TICK_S, self._waited, attempt)
            else:
                events += self._take(attempt, now)
        return events

    def _waited(self, attempt: Attempt) -> None:
        del self._waiting[attempt]
        self.notice(attempt)

    def _take(self, attempt: Attempt, now: float) -> list[StreamEvent]:
        attempt.pace.spend(now)
        events = attempt.take_news()
        if events and isinstance(events[-1].event, Progressed):  # The document's id is that of its progress.
            self._unrecorded[attempt] = ProgressWrite(attempt.task_id, events[-1].cursor, attempt.told())
        return events

    async def record_forever(self) -> None:
        """Store the latest progress in MongoDB once a second until cancelled."""
        while True:
            await asyncio.sleep(RECORD_EVERY_S)
            batch, self._unrecorded = self._unrecorded, {}
            if not batch:
                continue
            try:
                await self._ledger.record_progress(list(batch.values()))
            except PyMongoError as exc:
                log.warning("Progress waits for MongoDB", tasks=len(batch), error=str(exc))
                self._unrecorded = batch | self._unrecorded
