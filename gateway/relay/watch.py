"""One task watched in this replica: where it stands, and its document, which its followers share."""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from core.documents import Task
from core.events import Cursor, Event, Logged, Progressed, StateChanged
from core.states import TERMINAL, Delivery, TaskStatus
from gateway.relay.fold import fold, is_complete, is_end, is_next, newer
from gateway.relay.history import BEFORE_ALL, Recent, Told
from gateway.relay.snapshot import Snapshot
from gateway.waiting import Gate

PENDING_LIMIT = 64
"""Events kept while a watch reads; the oldest go first, and the hole they leave is filled from the stream."""


class Waker(Protocol):
    """Whoever follows a watch."""

    def wake(self, watch: "Watch", *, urgent: bool) -> bool:
        """Have it look at its watch again; it is urgent when the status, the attempt or the watch itself changed.

        Returns whether it goes on needing the events that are kept. Never raises.
        """

    def hear(self, watch: "Watch", told: Told, last: Cursor, *, urgent: bool) -> bool:
        """The same, for an event that directly follows on `last`."""


class Watch:
    """What this replica knows of a task. Followers are woken as it moves on; each takes the latest when it is ready.

    Where the task stands is always known; the document is folded when somebody asks for it.
    """

    __slots__ = (
        "_later",
        "_pending",
        "_snapshot",
        "asked",
        "asked_reread",
        "attempt",
        "channel",
        "cursor",
        "ended",
        "failure",
        "followers",
        "held",
        "loaded",
        "ready",
        "recent",
        "status",
        "task_id",
        "work",
    )

    def __init__(self, task_id: UUID, channel: str) -> None:
        self.task_id = task_id
        self.channel = channel
        self.loaded = Gate()
        """Set once its first document is there, or a failure."""
        self.ready = Gate()
        """Set once it has caught up with Redis, or can't, or need not."""
        self.failure: Exception | None = None
        self.followers: set[Waker] = set()
        self.cursor = BEFORE_ALL
        """The id of the latest event that is known."""
        self.status: TaskStatus | None = None
        self.ended = False
        """Whether the task has ended: nothing can follow."""
        self.attempt = -1
        self._snapshot: Snapshot | None = None
        self._later: Progressed | Logged | None = None
        """What is to be folded into the document, under the id of the latest event."""
        self.recent: Recent | None = None
        """The latest events, kept while somebody follows every one of them and has not been handed them all."""
        self._pending: deque[tuple[Cursor, Event]] | None = None
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
    def pending(self) -> deque[tuple[Cursor, Event]]:
        """The events that were heard while it was read; an empty deque takes 700 bytes, so most have none."""
        if self._pending is None:
            self._pending = deque(maxlen=PENDING_LIMIT)
        return self._pending

    @property
    def has_pending(self) -> bool:
        """Whether events were heard while it was read."""
        return bool(self._pending)

    def take_pending(self) -> Sequence[tuple[Cursor, Event]]:
        """Return the events that are pending, which then are no more."""
        pending, self._pending = self._pending, None
        return pending or ()

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
        self.ended = task.status in TERMINAL

    def _wake(self, *, urgent: bool) -> None:
        for follower in list(self.followers):
            follower.wake(self, urgent=urgent)

    def hear(self, cursor: Cursor, event: Event) -> bool:
        """Take an event that directly follows. Returns False if it does not, or ends the task: then it is pending."""
        if cursor <= self.cursor or self.ended:
            return True
        if not is_next(self.cursor, cursor) or is_end(event):
            self.pending.append((cursor, event))
            return False
        last, urgent = self.cursor, False
        if isinstance(event, StateChanged):
            urgent = event.status is not self.status or event.attempt != self.attempt
            known = self.snapshot
            assert known is not None
            self._keep(fold(known.task, cursor, event), known.delivery)
        else:
            self.cursor = cursor
            if self._later is None or isinstance(event, Progressed):
                self._later = event
        told, is_needed = Told(cursor, event, Delivery.LIVE), False
        for follower in list(self.followers):
            if follower.hear(self, told, last, urgent=urgent):
                is_needed = True
        if self.recent is not None:
            if is_needed:
                self.recent.add(told)
            else:
                self.recent.restart(cursor)
        return True

    def missed(self, streamed: Sequence[tuple[Cursor, Event]]) -> list[tuple[Cursor, Event]]:
        """Return what is newer than the document, from the stream and from what is pending, in its order."""
        news = dict(streamed) | dict(self._pending or ())
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
