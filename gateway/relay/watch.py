"""One task watched in this replica: its folded document, shared by its followers, and each follower's slot."""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from core.documents import Task
from core.events import Cursor, Event
from core.states import Delivery, TaskStatus
from gateway.relay.fold import fold, is_complete, is_end, is_next, newer
from gateway.relay.history import BEFORE_ALL, Recent
from gateway.relay.snapshot import Snapshot

PENDING_LIMIT = 64
"""Events kept while a watch reads; the oldest go first, and the hole they leave is filled from the stream."""


class Waker(Protocol):
    """Whoever follows a watch."""

    def wake(self, *, urgent: bool) -> None:
        """Have it look at its watch again; it is urgent when the status, the attempt or the watch itself changed."""


class Watch:
    """What this replica knows of a task. Followers are woken as it moves on; each takes the latest when it is ready."""

    def __init__(self, task_id: UUID, channel: str) -> None:
        self.task_id = task_id
        self.channel = channel
        self.loaded = asyncio.Event()
        """Set once its first document is there, or a failure."""
        self.ready = asyncio.Event()
        """Set once it has caught up with Redis, or can't, or need not."""
        self.failure: Exception | None = None
        self.followers: set[Waker] = set()
        self.snapshot: Snapshot | None = None
        self.recent: Recent | None = None
        """The latest events, kept while somebody follows every one of them."""
        self.pending: deque[tuple[Cursor, Event]] = deque(maxlen=PENDING_LIMIT)
        self.held = False
        """Whether news is known of, or may be missing, that only MongoDB can tell, and MongoDB did not."""
        self.work: asyncio.Task[None] | None = None
        """What brings it up to date just now; meanwhile events are pending."""
        self.asked = False
        self.asked_reread = False

    @property
    def task(self) -> Task:
        """The document as folded so far. Only to be asked once there is one."""
        assert self.snapshot is not None
        return self.snapshot.task

    @property
    def cursor(self) -> Cursor:
        """The id of the latest event that the document tells of."""
        return BEFORE_ALL if self.snapshot is None else self.snapshot.task.cursor

    @property
    def ended(self) -> bool:
        """Whether the task has ended: nothing can follow."""
        return self.snapshot is not None and self.snapshot.task.status.is_terminal

    @property
    def live(self) -> bool:
        """Whether its events come by Redis as they happen."""
        return self.snapshot is not None and self.snapshot.delivery is Delivery.LIVE

    def set_live(self, live: bool) -> None:
        """Change how the news comes; what was handed out already is not handed out again for it."""
        if self.snapshot is not None and self.live is not live:
            self.snapshot = Snapshot(self.snapshot.task, Delivery.LIVE if live else Delivery.DEGRADED)

    def fail(self, failure: Exception) -> None:
        """End all followers with this error."""
        self.failure = failure
        self.loaded.set()
        self.ready.set()
        for follower in self.followers:
            follower.wake(urgent=True)

    def take(self, task: Task, event: Event | None = None) -> None:
        """Take a document as the present one if it is later than what is known, and wake who waits for it.

        `event` is what directly followed and made it later, if it was but one event.
        """
        known = self.snapshot
        if known is None:
            self.snapshot = Snapshot(task, Delivery.DEGRADED)
            return
        task = newer(known.task, task)
        if task is known.task:
            return
        self.snapshot = Snapshot(task, known.delivery)
        if self.recent is not None:
            if event is None:
                self.recent.restart(task.cursor)
            else:
                self.recent.add(task.cursor, event)
        if self.ended:
            self.ready.set()
        urgent = task.status is not known.task.status or task.attempt != known.task.attempt
        for follower in self.followers:
            follower.wake(urgent=urgent)

    def hear(self, cursor: Cursor, event: Event) -> bool:
        """Fold an event that directly follows. Returns False if it does not, or ends the task: then it is pending."""
        if self.ended or cursor <= self.cursor:
            return True
        if is_end(event) or not is_next(self.cursor, cursor):
            self.pending.append((cursor, event))
            return False
        self.take(fold(self.task, cursor, event), event)
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

    def __init__(self, max_hz: float) -> None:
        self._period_s = 1.0 / max_hz
        self._next_at = 0.0
        self._cursor = BEFORE_ALL
        self._status: TaskStatus | None = None
        self._attempt = -1
        self._waiter: asyncio.Future[None] | None = None
        self._throttled = False

    def wake(self, *, urgent: bool) -> None:
        """Let it look at its watch again; one that was handed something just now only looks if it is urgent."""
        if self._waiter is not None and (urgent or not self._throttled) and not self._waiter.done():
            self._waiter.set_result(None)

    async def next(self, watch: Watch) -> Snapshot:
        """Wait for a snapshot later than the last one, and return the latest. Raises what the watch failed with.

        Progress comes at most `max_hz` times a second; another status, another attempt and the end come at once.
        """
        loop = asyncio.get_running_loop()
        while True:
            if watch.failure is not None:
                raise watch.failure
            snapshot, now = watch.snapshot, loop.time()
            if snapshot is None or not (snapshot.task.cursor > self._cursor or watch.ended):
                await self._wait(None)
            elif now < self._next_at and not self._is_urgent(snapshot.task):
                await self._wait(self._next_at)
            else:
                task = snapshot.task
                self._cursor, self._status, self._attempt = task.cursor, task.status, task.attempt
                self._next_at = now + self._period_s
                return snapshot

    def _is_urgent(self, task: Task) -> bool:
        return task.status is not self._status or task.attempt != self._attempt

    async def _wait(self, until: float | None) -> None:
        loop = asyncio.get_running_loop()
        waiter = self._waiter = loop.create_future()
        self._throttled = until is not None
        timer = None if until is None else loop.call_at(until, _release, waiter)
        try:
            await waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()


def _release(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
