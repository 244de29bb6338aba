"""Accepting tasks: durable in MongoDB first, then handed over; the answer waits only a moment for that."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from bson.errors import InvalidDocument
from pymongo.errors import DocumentTooLarge, DuplicateKeyError

from core.clock import utc_now
from core.documents import Task, TimelineEntry
from core.errors import BadUserInput, Conflict
from core.publisher import Publisher
from core.settings import Settings
from core.states import Priority, TaskStatus
from core.streams import EventStreams
from core.tracing import span
from gateway.handover import HandOver
from gateway.inputs import check_input, parse_input
from gateway.inserts import Inserts
from jobs.kinds import MAX_TIMEOUT_S, Kind

MAX_ATTEMPTS = 100
MAX_KEY_CHARS = 200
MAX_AHEAD_S = 366 * 24 * 3600.0
"""How far in the future a task may be scheduled: a year."""
BY = "gateway"
UNSTORABLE = (InvalidDocument, DocumentTooLarge, OverflowError, UnicodeEncodeError)


@dataclass(frozen=True)
class SubmitOptions:
    """How a task is to be run; None means the kind's own value. Times are seconds."""

    priority: Priority = Priority.NORMAL
    delay_s: float | None = None
    run_at: datetime | None = None
    deadline: datetime | None = None
    timeout_s: float | None = None
    max_attempts: int | None = None
    idempotency_key: str | None = None

    def validate(self, now: datetime, path: str = "options") -> None:
        """Raise BadUserInput naming the option below `path` that is out of range or contradicts another one."""
        if self.delay_s is not None and self.run_at is not None:
            raise BadUserInput(f"{path}.runAt", "nothing beside delayS: one of the two says when")
        _expect_range(f"{path}.delayS", self.delay_s, 0, MAX_AHEAD_S, "0 to 31,622,400 seconds (366 days)")
        if self.run_at is not None and self.run_at > now + timedelta(seconds=MAX_AHEAD_S):
            raise BadUserInput(f"{path}.runAt", "a time within 366 days", got=self.run_at.isoformat())
        if self.deadline is not None and self.deadline <= max(now, self.due_at(now) or now):
            raise BadUserInput(f"{path}.deadline", "a time after the task may start", got=self.deadline.isoformat())
        if self.timeout_s is not None and not 0 < self.timeout_s <= MAX_TIMEOUT_S:
            raise BadUserInput(f"{path}.timeoutS", "more than 0 and at most 86,400 seconds", got=self.timeout_s)
        _expect_range(f"{path}.maxAttempts", self.max_attempts, 1, MAX_ATTEMPTS, f"1 to {MAX_ATTEMPTS}")
        key = self.idempotency_key
        if key is not None and not (1 <= len(key) <= MAX_KEY_CHARS and key.isprintable()):
            raise BadUserInput(f"{path}.idempotencyKey", f"1 to {MAX_KEY_CHARS} printable characters", got=key)

    def due_at(self, now: datetime) -> datetime | None:
        """Return when the task may start, None if that is now."""
        due = now + timedelta(seconds=self.delay_s) if self.delay_s is not None else self.run_at
        return due if due is not None and due > now else None


def _expect_range(field: str, value: float | None, least: float, most: float, words: str) -> None:
    if value is not None and not least <= value <= most:
        raise BadUserInput(field, words, got=value)


class Submitter:
    """Turns submits into stored tasks. One a replica, closed after the last operation has ended."""

    def __init__(self, settings: Settings, publisher: Publisher, streams: EventStreams) -> None:
        self._inserts = Inserts()
        self._hand_over = HandOver(publisher, streams, confirm_wait_s=settings.submit_confirm_wait_s)

    async def submit(
        self,
        kind: Kind,
        value: Mapping[str, Any],
        options: SubmitOptions,
        *,
        owner: str,
        correlation_id: str | None = None,
    ) -> Task:
        """Store a task and hand it to the broker; return it as it was stored, or as an earlier submit stored it.

        `value` holds the input under its GraphQL names. Waits for the broker's confirm no longer than the settings
        say; without one the task is PENDING all the same and is published later. Raises BadUserInput, Conflict where
        the idempotency key stands for something else, and PyMongoError when MongoDB takes nothing. Once the task is
        stored, cancelling this no longer stops the hand-over.
        """
        task = new_task(kind, value, options, owner=owner, correlation_id=correlation_id)
        await check_input(kind, task.input, owner)
        return await self.accept(task)

    async def accept(self, task: Task) -> Task:
        """Store a new task and hand it over, as `submit` does."""
        with span("submit", attributes={"headway.kind": task.kind, "headway.task_id": str(task.id)}) as submitting:
            task.trace = submitting.trace
            try:
                await self._inserts.submit(task)
            except DuplicateKeyError:
                return await _earlier(task)
            except UNSTORABLE as exc:
                raise BadUserInput("input", "values that can be stored") from exc
            await self._hand_over.submit_all([task])
        return task

    async def accept_all(self, tasks: Sequence[Task]) -> None:
        """Store new tasks in one write and hand them over together. Raises pymongo's errors; some may be stored then.

        Waits for the broker's confirms as `submit` does.
        """
        with span("submit", attributes={"headway.tasks": len(tasks)}) as submitting:
            for task in tasks:
                task.trace = submitting.trace
            await Task.insert_many(list(tasks), ordered=False)
            await self._hand_over.submit_all(tasks)

    async def aclose(self, deadline_s: float = 5.0) -> None:
        """Let the hand-overs under way finish, then cancel what is left; the reconciler publishes those tasks."""
        await self._hand_over.aclose(deadline_s)


def new_task(
    kind: Kind,
    value: object,
    options: SubmitOptions,
    *,
    owner: str,
    correlation_id: str | None,
    path: str = "",
    batch_id: UUID | None = None,
) -> Task:
    """Return a task that is not yet stored. Raises BadUserInput naming what is wrong below `path` (as `inputs.3.`)."""
    now = utc_now()
    options.validate(now, f"{path}options")
    due_at = options.due_at(now)
    status = TaskStatus.SCHEDULED if due_at else TaskStatus.PENDING
    return Task(
        kind=kind.name,
        owner=owner,
        status=status,
        priority=options.priority,
        input=parse_input(kind, value, f"{path}input"),
        max_attempts=options.max_attempts or kind.max_attempts,
        timeout_s=options.timeout_s or kind.timeout_s,
        created_at=now,
        run_at=due_at,
        deadline=options.deadline,
        idempotency_key=options.idempotency_key,
        batch_id=batch_id,
        correlation_id=correlation_id,
        timeline=[TimelineEntry(epoch=1, n=1, at=now, attempt=0, status=status, by=BY)],
    )


async def _earlier(task: Task) -> Task:
    """Return the task that owns the new one's idempotency key. Raises Conflict if it asks for something else."""
    known = await Task.find_one(
        {"owner": task.owner, "idempotency_key": {"$type": "string", "$eq": task.idempotency_key}}
    )
    if known is None:
        raise Conflict("options.idempotencyKey", "The task with this idempotencyKey has just been removed; try again")
    if (known.kind, known.input) != (task.kind, task.input):
        raise Conflict(
            "options.idempotencyKey",
            f"This idempotencyKey stands for task {known.id}, which has another kind or another input",
        )
    return known
