"""Cancelling: at once where no worker holds the task, else as an intent that is stored before its holder is told.

The holder announces CANCELLING and ends the task; a hint on a Redis channel makes it look at once, and without the hint
its beat finds the intent within 3 s. Every write is a compare-and-set, so a cancel that loses a race changes nothing,
reads again and tries again.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pymongo import ReturnDocument, UpdateOne
from redis.asyncio import Redis
from redis.exceptions import RedisError

from core.clock import utc_now
from core.documents import Task, TimelineEntry
from core.errors import BadUserInput, Conflict, NotFound
from core.events import Cursor
from core.messages import cancel_channel
from core.states import HELD, TERMINAL, UNCLAIMED, TaskStatus
from core.streams import EventStreams, StreamEvent
from core.telemetry import get_logger
from core.transition import Transition
from core.transitions import cancelled_unclaimed
from gateway.bulk import BULK_LIMIT, BulkOutcome

MAX_REASON_CHARS = 500
TRIES = 20
"""How often a cancel that lost its race tries again. A task moves on a few times a second at most."""
CHUNK = 200
"""Tasks in one bulk write, so that even a slow database answers within the client's timeout."""
TELL_WAIT_S = 0.25
"""The answer waits no longer for Redis: what is stored is found there without it."""
BY = "gateway"
LARGE = ("input", "result", "checkpoint")
CANCELLABLE: Mapping[str, Any] = {
    "status": {"$in": sorted(UNCLAIMED | HELD)},
    "$or": [{"cancel_requested_at": None}, {"status": {"$in": sorted(UNCLAIMED)}}],
}
"""Tasks that a cancel changes: not ended, and not asked already while a worker holds them."""

log = get_logger(__name__)


def validate_reason(reason: str | None) -> None:
    """Raise BadUserInput if a timeline can't hold this reason."""
    if reason is None:
        return
    if len(reason) > MAX_REASON_CHARS:
        raise BadUserInput("reason", f"at most {MAX_REASON_CHARS} characters", got=f"{len(reason):,} characters")
    try:
        reason.encode()
    except UnicodeEncodeError as exc:
        raise BadUserInput("reason", "text that is valid Unicode (no lone surrogates)") from exc


@dataclass(frozen=True)
class Canceller:
    """Cancels tasks. It keeps nothing between calls."""

    redis: Redis
    streams: EventStreams
    namespace: str

    async def cancel(self, task_id: UUID, reason: str | None, *, visible: Mapping[str, Any]) -> Task:
        """Cancel a task that is `visible`, or record that it is to be, durably; return it as it then is.

        A task that has ended, or was asked before, is returned unchanged: the first reason stays. Raises BadUserInput
        for the reason, NotFound, Conflict if the race was lost every time, and PyMongoError.
        """
        validate_reason(reason)
        for _ in range(TRIES):
            task = await Task.find_one({"_id": task_id, **visible})
            if task is None:
                raise NotFound("task", task_id)
            if task.status.is_terminal:
                return task
            if task.status in UNCLAIMED:
                changed = await _change(_transition(task, reason))
            elif task.cancel_requested_at is not None:
                changed = task
            else:
                changed = await _ask(task, reason)
            if changed is not None:
                is_held = changed.status in HELD
                await self._tell([] if is_held else [changed], [changed.id] if is_held else [])
                return changed
        raise Conflict("id", "The task moved on each time this tried to cancel it; try again")

    async def cancel_all(
        self, conditions: Sequence[Mapping[str, Any]], reason: str | None, *, dry_run: bool
    ) -> BulkOutcome:
        """Cancel up to 1,000 tasks that meet the conditions, the oldest first. Raises BadUserInput and PyMongoError."""
        validate_reason(reason)
        collection = Task.get_pymongo_collection()
        query = {"$and": [*conditions, CANCELLABLE]}
        matched = await collection.count_documents(query)
        if dry_run:
            return BulkOutcome(matched, 0, has_more=matched > BULK_LIMIT)
        chosen = [found["_id"] async for found in collection.find(query, {"_id": 1}).sort("_id", 1).limit(BULK_LIMIT)]
        changed = 0
        for start in range(0, len(chosen), CHUNK):
            changed += await self._cancel_chunk(chosen[start : start + CHUNK], reason)
        return BulkOutcome(matched, changed, has_more=matched > len(chosen))

    async def _cancel_chunk(self, task_ids: Sequence[UUID], reason: str | None) -> int:
        changed = 0
        for _ in range(TRIES):
            tasks = await _read({"_id": {"$in": list(task_ids)}, **CANCELLABLE})
            if not tasks:
                break
            changed += await self._cancel_round(tasks, reason)
        return changed

    async def _cancel_round(self, tasks: Sequence[Task], reason: str | None) -> int:
        collection = Task.get_pymongo_collection()
        unclaimed = [_transition(task, reason) for task in tasks if task.status in UNCLAIMED]
        held = [_intent(task, reason) for task in tasks if task.status in HELD]
        written = await collection.bulk_write(
            [*(transition.operation() for transition in unclaimed), *(UpdateOne(*intent) for intent in held)],
            ordered=False,
        )
        told = {"_id": {"$in": [transition.task_id for transition in unclaimed]}, "status": TaskStatus.CANCELLED.value}
        cancelled = await _read(told) if unclaimed else []
        await self._tell(cancelled, [task.id for task in tasks if task.status in HELD])
        return written.modified_count

    async def _tell(self, cancelled: Sequence[Task], asked: Sequence[UUID]) -> None:
        """Tell followers of the tasks that this ended, and holders of those that they are to end."""
        events = [event for task in cancelled if (event := _event(task)) is not None]
        try:
            async with asyncio.timeout(TELL_WAIT_S):
                async with self.redis.pipeline(transaction=False) as pipe:
                    for task_id in asked:
                        pipe.publish(cancel_channel(self.namespace), str(task_id))
                    await pipe.execute()
                await self.streams.append(events)
        except (RedisError, OSError, TimeoutError) as exc:
            log.warning("Redis did not pass a cancel on", cancelled=len(cancelled), asked=len(asked), reason=str(exc))


def _transition(task: Task, reason: str | None) -> Transition:
    asked_before = task.cancel_requested_at is not None
    return cancelled_unclaimed(task.id, task.epoch, by=BY, reason=task.cancel_reason if asked_before else reason)


async def _change(transition: Transition) -> Task | None:
    stored = await Task.get_pymongo_collection().find_one_and_update(
        transition.filter, transition.update, return_document=ReturnDocument.AFTER
    )
    return None if stored is None else _task(stored)


def _intent(task: Task, reason: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return filter and update. It binds whoever holds the task, so it asks for no epoch."""
    return (
        {"_id": task.id, "status": {"$in": sorted(HELD)}, "cancel_requested_at": None},
        {"$set": {"cancel_requested_at": utc_now(), "cancel_reason": reason}},
    )


async def _ask(task: Task, reason: str | None) -> Task | None:
    stored = await Task.get_pymongo_collection().find_one_and_update(
        *_intent(task, reason), return_document=ReturnDocument.AFTER
    )
    return None if stored is None else _task(stored)


async def _read(query: Mapping[str, Any]) -> list[Task]:
    """Return tasks without what may be megabytes."""
    return [_task(stored) async for stored in Task.get_pymongo_collection().find(query, dict.fromkeys(LARGE, 0))]


def _task(stored: Mapping[str, Any]) -> Task:
    task: Task = Task.model_validate({"input": {}, **stored})
    return task


def _event(task: Task) -> StreamEvent | None:
    """Return the event of the change that ended the task; its stream refuses it if it was told already."""
    last: TimelineEntry = task.timeline[-1]
    ends = last.status in TERMINAL and last.cursor == Cursor(task.epoch, task.n)
    return StreamEvent(task.id, last.cursor, last.event(), ends=True, trace=task.trace) if ends else None
