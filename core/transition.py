"""One change of a task's status as a compare-and-set that also stores its event.

A filter that matches nothing means that someone else was first; the loser does nothing. Updates are aggregation
pipelines, because the entry needs the attempt that the document has at that moment.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from pymongo import UpdateOne

from core.clock import utc_now
from core.documents import FINISHED_TASK_TTL_S, TaskFailure
from core.events import Cursor
from core.states import TERMINAL, TaskStatus

TIMELINE_LENGTH = 500
"""Entries a timeline keeps; the oldest go first."""


@dataclass(frozen=True)
class Transition:
    """One compare-and-set. `cursor` is its event's id, known before the write."""

    task_id: UUID
    cursor: Cursor
    status: TaskStatus
    filter: dict[str, Any]
    update: list[dict[str, Any]]

    def operation(self) -> UpdateOne:
        """Return it as an operation of a bulk write."""
        return UpdateOne(self.filter, self.update)


def change(
    task_id: UUID,
    *,
    expect_epoch: int,
    expect: frozenset[TaskStatus],
    cursor: Cursor,
    status: TaskStatus,
    by: str,
    reason: str | None = None,
    error: TaskFailure | None = None,
    fields: dict[str, Any] | None = None,
    attempts: int = 0,
    lease_ended_by: datetime | None = None,
) -> Transition:
    """Return the change to `status` of a task that has one of the expected ones, under the event's id `cursor`.

    `fields` are set with it, `attempts` is added to the attempt; with `lease_ended_by` the change is made only if the
    lease had ended by then.
    """
    now = utc_now()
    entry = {
        "epoch": cursor.epoch,
        "n": cursor.n,
        "at": now,
        "status": status.value,
        "by": by,
        "reason": reason,
        "error_code": error and error.code,
        "error_message": error and error.message,
    }
    changes = {"status": status.value, "status_at": now, "epoch": cursor.epoch, "n": cursor.n, **(fields or {})}
    if status in TERMINAL:
        changes |= _fields_of_end(now, error)
    filter_: dict[str, Any] = {"_id": task_id, "epoch": expect_epoch, "status": {"$in": sorted(expect)}}
    if lease_ended_by is not None:
        filter_["lease.until"] = {"$lte": lease_ended_by}
    return Transition(task_id, cursor, status, filter_, [{"$set": _update(changes, entry, attempts)}])


def _fields_of_end(now: datetime, error: TaskFailure | None) -> dict[str, Any]:
    return {
        "finished_at": now,
        "expire_at": now + timedelta(seconds=FINISHED_TASK_TTL_S),
        "lease": None,
        "claim": None,
        "error": error and error.model_dump(),
        "checkpoint": None,
    }


def _update(changes: dict[str, Any], entry: dict[str, Any], attempts: int) -> dict[str, Any]:
    attempt = {"$add": ["$attempt", attempts]}
    entries = [{"$mergeObjects": [{"$literal": entry}, {"attempt": attempt}]}]
    return {key: {"$literal": value} for key, value in changes.items()} | {
        "attempt": attempt,
        "timeline": {"$slice": [{"$concatArrays": ["$timeline", entries]}, -TIMELINE_LENGTH]},
    }
