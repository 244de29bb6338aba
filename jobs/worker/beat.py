"""Keeps the leases of running tasks, from a thread of its own: a busy event loop is not a dead worker.

The same thread is the last resort against an event loop that does not come back: when an attempt is past its time and
the loop has stood still, it writes the outcome itself, hands the other tasks back and ends the process.
"""

import asyncio
import os
import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from core.clock import utc_now
from core.connections import mongo_options
from core.documents import Task, TaskFailure
from core.settings import Settings
from core.states import HELD, TaskStatus
from core.telemetry import get_logger
from core.transition import Transition
from core.transitions import requeued, seized
from jobs.attempt import Attempt, Interruption
from jobs.ledger import LEASE_S
from jobs.metrics import MISSED_BEATS
from jobs.runner import CANCEL_GRACE_S

BEAT_EVERY_S = 3.0
RETRY_EVERY_S = 1.0
ANSWER_WITHIN_S = 5.0
"""A beat that is given up leaves a lease of 10 s no time for another: what can still be answered has to be awaited."""
STUCK_AFTER_S = 5.0
"""A loop that has not ticked for this long while an attempt is overdue will not come back."""
EXIT_STUCK = 70

log = get_logger(__name__)


class Asked(NamedTuple):
    """A cancel as this thread has seen it."""

    seen_at: float
    reason: str | None


class Beat(threading.Thread):
    """Beats for the attempts in `running`, which the event loop fills and empties. Start it; `stop` ends it."""

    def __init__(self, settings: Settings, worker: str, running: dict[UUID, Attempt]) -> None:
        super().__init__(name="beat", daemon=True)
        self._client: MongoClient[dict[str, Any]] = MongoClient(
            settings.mongo_url,
            **mongo_options(settings),
            maxPoolSize=2,
            serverSelectionTimeoutMS=1_500,
            connectTimeoutMS=1_500,
            timeoutMS=int(ANSWER_WITHIN_S * 1_000),
        )
        self._tasks = self._client[settings.mongo_database][Task.get_collection_name()]
        self._worker = worker
        self._running = running
        self._loop = asyncio.get_running_loop()
        self._stopping = threading.Event()
        self.ticked_at = time.monotonic()
        self._looked_at = self.ticked_at
        self._asked: dict[Attempt, Asked] = {}

    def stop(self) -> None:
        """End the thread and close its client."""
        self._stopping.set()
        self.join()
        self._client.close()

    def run(self) -> None:
        """Beat every 3 s, watch the loop every second."""
        beat_at = time.monotonic()
        while not self._stopping.wait(min(RETRY_EVERY_S, max(0.0, beat_at - time.monotonic()))):
            self._watch_loop()
            if time.monotonic() < beat_at:
                continue
            attempts = list(self._running.values())
            try:
                if attempts:
                    self._beat(attempts)
                beat_at = time.monotonic() + BEAT_EVERY_S
            except PyMongoError as exc:
                MISSED_BEATS.inc()
                log.warning("No beat", error=str(exc), running=len(attempts))
                beat_at = time.monotonic() + RETRY_EVERY_S
            self._looked_at = time.monotonic()

    def _beat(self, attempts: Sequence[Attempt]) -> None:
        now = utc_now()
        held = {"_id": {"$in": [attempt.task_id for attempt in attempts]}}
        self._tasks.update_many(
            {**held, "lease.worker": self._worker, "status": {"$in": sorted(HELD)}},
            {"$set": {"lease.until": now + timedelta(seconds=LEASE_S), "worker_seen_at": now}},
        )
        wanted = {"epoch": 1, "cancel_requested_at": 1, "cancel_reason": 1}
        stored = {document["_id"]: document for document in self._tasks.find(held, wanted)}
        asked: dict[Attempt, Asked] = {}
        for attempt in attempts:
            document = stored.get(attempt.task_id)
            if document is None or document["epoch"] != attempt.epoch:
                self._call(attempt.interrupt, Interruption.FENCED)
            elif document.get("cancel_requested_at"):
                known = self._asked.get(attempt)
                asked[attempt] = known or Asked(time.monotonic(), document.get("cancel_reason"))
                self._call(attempt.cancel, asked[attempt].reason)
        self._asked = asked

    def _call(self, function: Callable[..., None], *args: object) -> None:
        if not self._stopping.is_set():
            self._loop.call_soon_threadsafe(function, *args)

    def _watch_loop(self) -> None:
        now = time.monotonic()
        was_away, self._looked_at = now - self._looked_at > STUCK_AFTER_S, now
        if was_away or now - self.ticked_at < STUCK_AFTER_S:
            return  # A process that was frozen as a whole has a loop that has not had its chance yet.
        attempts = list(self._running.values())
        overdue = [attempt for attempt in attempts if self._overdue_at(attempt) < now]
        if not overdue:
            return
        log.error("The event loop is stuck; giving the tasks away", overdue=[str(a.task_id) for a in overdue])
        transitions = [self._verdict(attempt, is_overdue=attempt in overdue) for attempt in attempts]
        try:
            self._tasks.bulk_write([transition.operation() for transition in transitions], ordered=False)
        finally:
            os._exit(EXIT_STUCK)

    def _overdue_at(self, attempt: Attempt) -> float:
        """Return when the attempt's time, or its grace after a cancel that this thread has seen, is over."""
        asked = self._asked.get(attempt)
        return attempt.overdue_at if asked is None else min(attempt.overdue_at, asked.seen_at + CANCEL_GRACE_S)

    def _verdict(self, attempt: Attempt, *, is_overdue: bool) -> Transition:
        task, epoch, told = attempt.task, attempt.epoch, attempt.told()
        if not is_overdue:
            return requeued(task.id, epoch, by=self._worker, reason="another task blocked its worker", told=told)
        asked = self._asked.get(attempt)
        if asked is not None or attempt.interruption is Interruption.CANCEL:
            reason = asked.reason if asked is not None else task.cancel_reason
            error = TaskFailure(code="FORCED", message="the code did not yield and blocked its worker")
            return seized(task.id, epoch, TaskStatus.CANCELLED, by=self._worker, error=error, reason=reason, told=told)
        error = TaskFailure(code="TIMEOUT", message=f"took longer than {task.timeout_s:g} s and blocked its worker")
        return seized(task.id, epoch, TaskStatus.FAILED, by=self._worker, error=error, told=told)
