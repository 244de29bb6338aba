"""One task watched in this replica: its folded document, shared by its followers, and each follower's slot."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol
from uuid import UUID

from core.documents import Task
from core.events import Cursor, Event, Logged, Progressed, StateChanged
from core.states import TERMINAL, Delivery, TaskStatus
from gateway.relay.fold import fold, is_complete, is_end, is_next, newer
from gateway.relay.history import BEFORE_ALL, Recent, Told
from gateway.relay.snapshot import Snapshot

PENDING_LIMIT = 64
"""Events kept while a watch reads; the oldest go first, and the hole they leave is filled from the stream."""


class Waker(Protocol):
    """Whoever follows a watch."""

    def wake(self, watch: "Watch", *, urgent: bool) -> bool:
        """Have it look at its watch again; it is urgent when the status, the attempt or the watch itself changed.

        Returns whether it goes on needing the events that are kept. Never raises.
        """


class Watch:
    """What this replica knows of a task. Followers are woken as it moves on; each takes the latest when it is ready.

    Where the task stands is always known; the document is folded when somebody asks for it.
    """

    __slots__ = (
        "_later",
        "_snapshot",
        "asked",
        "asked_reread",
        "attempt",
        "channel",
        "cursor",
        "failure",
        "followers",
        "held",
        "loaded",
        "pending",
        "ready",
        "recent",
        "status",
        "task_id",
        "work",
    )

    def __init__(self, task_id: UUID, channel: str) -> None:
        self.task_id = task_id
        self.channel = channel
        self.loaded = asyncio.Event()
        """Set once its first document is there, or a failure."""
        self.ready = asyncio.Event()
        """Set once it has caught up with Redis, or can't, or need not."""
        self.failure: Exception | None = None
        self.followers: set[Waker] = set()
        self.cursor = BEFORE_ALL
        """The id of the latest event that is known."""
        self.status: TaskStatus | None = None
        self.attempt = -1
        self._snapshot: Snapshot | None = None
        self._later: Progressed | Logged | None = None
        """What is to be folded into the document, under the id of the latest event."""
        self.recent: Recent | None = None
        """The latest events, kept while somebody follows every one of them and has not been handed them all."""
        self.pending: deque[tuple[Cursor, Event]] = deque(maxlen=PENDING_LIMIT)
        self.held = False
        """Whether news is known of, or may be missing, that only MongoDB can tell, and MongoDB did not."""
        self.work: asyncio.Task[None] | None = None
        """What brings it up to date just now; meanwhile events are pending."""
        self.asked = False
        self.asked_reread = False

    @property
    def snapshot(self) -> Snapshot | None:
        """The task as it stands, None before there is a document."""
        known, later = self._snapshot, self._later
        if known is not None and later is not None:
            self._later = None
            known = self._snapshot = Snapshot(fold(known.task, self.cursor, later), known.delivery)
        return known

    @property
    def task(self) -> Task:
        """The document as it stands. Only to be asked once there is one."""
        snapshot = self.snapshot
        assert snapshot is not None
        return snapshot.task

    @property
    def ended(self) -> bool:
        """Whether the task has ended: nothing can follow."""
        return self.status in TERMINAL

    @property
    def live(self) -> bool:
        """Whether its events come by Redis as they happen."""
        return self._snapshot is not None and self._snapshot.delivery is Delivery.LIVE

    def set_live(self, live: bool) -> None:
        """Change how the news comes; what was handed out already is not handed out again for it."""
        if self._snapshot is not None and self.live is not live:
            self._snapshot = Snapshot(self.task, Delivery.LIVE if live else Delivery.DEGRADED)

    def fail(self, failure: Exception) -> None:
        """End all followers with this error."""
        self.failure = failure
        self.loaded.set()
        self.ready.set()
        self._wake(urgent=True)

    def take(self, task: Task) -> None:
        """Take a document as the present one if it is later than what is known, and wake who waits for it."""
        known = self.snapshot
        if known is None:
            self._keep(task, Delivery.DEGRADED)
            return
        task = newer(known.task, task)
        if task is known.task:
            return
        urgent = task.status is not self.status or task.attempt != self.attempt
        self._keep(task, known.delivery)
        if self.recent is not None:
            self.recent.restart(self.cursor)
        if self.ended:
            self.ready.set()
        self._wake(urgent=urgent)

    def _keep(self, task: Task, delivery: Delivery) -> None:
        self._snapshot, self._later = Snapshot(task, delivery), None
        self.cursor, self.status, self.attempt = task.cursor, task.status, task.attempt

    def _wake(self, *, urgent: bool) -> None:
        is_needed = False
        for follower in list(self.followers):
            if follower.wake(self, urgent=urgent):
                is_needed = True
        if self.recent is not None and not is_needed:
            self.recent.restart(self.cursor)

    def hear(self, cursor: Cursor, event: Event) -> bool:
        """Take an event that directly follows. Returns False if it does not, or ends the task: then it is pending."""
        if cursor <= self.cursor or self.ended:
            return True
        if not is_next(self.cursor, cursor) or is_end(event):
            self.pending.append((cursor, event))
            return False
        urgent = False
        if isinstance(event, StateChanged):
            urgent = event.status is not self.status or event.attempt != self.attempt
            known = self.snapshot
            assert known is not None
            self._keep(fold(known.task, cursor, event), known.delivery)
        else:
            self.cursor = cursor
            if self._later is None or isinstance(event, Progressed):
                self._later = event
        if self.recent is not None:
            self.recent.add(Told(cursor, event, Delivery.LIVE))
        self._wake(urgent=urgent)
        return True

    def missed(self, streamed: Sequence[tuple[Cursor, Event]]) -> list[tuple[Cursor, Event]]:
        """Return what is newer than the document, from the stream and from what is pending, in its order."""
        news = dict(streamed) | dict(self.pending)
        return sorted((item for item in news.items() if item[0] > self.cursor), key=lambda item: item[0])

    def needs_document(self, news: Sequence[tuple[Cursor, Event]]) -> bool:
        """Return whether events alone do not tell the whole: there is a hole, or the end, whose result is stored."""
        return not is_complete(self.cursor, (cursor for cursor, _ in news)) or any(is_end(event) for _, event in news)

    def catch_up(self, stored: Task | None, news: Sequence[tuple[Cursor, Event]]) -> None:
        """Move on to the stored document, if given, and over the events after it.

        Whatever it takes the document to tell, the end or what a hole hides, is left to the document: without one the
        watch stops there and is held.
        """
        task = self.task if stored is None else newer(self.task, stored)
        for cursor, event in news:
            if cursor <= task.cursor or task.status.is_terminal:
                continue
            if is_end(event) or (stored is None and not is_complete(task.cursor, [cursor])):
                self.held = True
                break
            task = fold(task, cursor, event)
        self.take(task)


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
        self.listener: Callable[[], None] | None = None

    def wake(self, watch: Watch, *, urgent: bool) -> bool:
        """Let it look at its watch again; one that was handed something just now only looks if it is urgent."""
        if urgent or self._timer is None:
            self._call()
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
            snapshot = self._look(watch)
            if snapshot is not None:
                return snapshot
            waiter = self._waiter = loop.create_future()
            try:
                await waiter
            finally:
                if self._waiter is waiter:
                    self._waiter = None
                    self._disarm()

    def take(self, watch: Watch) -> Snapshot | None:
        """Return a snapshot if it is time for one; the end has to be waited for."""
        return None if watch.ended or watch.failure is not None else self._look(watch)

    def is_up_to_date(self, watch: Watch) -> bool:
        """Whether what is known was handed out, or waits for its turn."""
        is_over = watch.ended or watch.failure is not None
        return not is_over and (self._timer is not None or watch.cursor <= self._cursor)

    def stop(self) -> None:
        """Call nobody any more."""
        self.listener = None
        self._disarm()

    def _look(self, watch: Watch) -> Snapshot | None:
        """Return what is to be handed out now; where it has to wait for its turn, see to being called then."""
        if not (watch.cursor > self._cursor or watch.ended) or watch.status is None:
            return None
        loop = asyncio.get_running_loop()
        now = loop.time()
        is_urgent = watch.status is not self._status or watch.attempt != self._attempt
        if now < self._next_at and not is_urgent:
            if self._timer is None:
                self._timer = loop.call_at(self._next_at, self._ring)
            return None
        self._disarm()
        self._cursor, self._status, self._attempt = watch.cursor, watch.status, watch.attempt
        self._next_at = now + self._period_s
        return watch.snapshot

    def _ring(self) -> None:
        self._timer = None
        self._call()

    def _call(self) -> None:
        if self.listener is not None:
            self.listener()
        elif self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
