"""One change of a task's status as a compare-and-set that also stores its event.

A filter that matches nothing means that someone else was first; the loser does nothing. Updates are aggregation
pipelines, because the entry needs the attempt that the document has at that moment.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any
from uuid import UUID

from pymongo import UpdateMany, UpdateOne

from core.choices import Own, own, with_own
from core.clock import utc_now
from core.documents import FINISHED_TASK_TTL_S, TaskFailure
from core.events import Cursor, StateChanged
from core.states import TERMINAL, TaskStatus

TIMELINE_LENGTH = 500
"""Entries a timeline keeps; the oldest go first."""
SHARED_BYTES = 1_000_000
"""What one write carries for many tasks, at most; a change that is larger by itself has a write of its own."""
_TOLD = frozenset({"at", "by", "reason", "error_code", "error_message"})


@dataclass(frozen=True)
class Expected:
    """What a task must be like for a change to be made; `lease_ended_by` None is any lease."""

    epoch: int
    statuses: frozenset[TaskStatus]
    lease_ended_by: datetime | None

    def filter(self, task_id: object) -> dict[str, Any]:
        """Return the filter for the tasks that `task_id` stands for in MongoDB's words."""
        wanted = {"_id": task_id, "epoch": self.epoch, "status": {"$in": sorted(self.statuses)}}
        return wanted if self.lease_ended_by is None else {**wanted, "lease.until": {"$lte": self.lease_ended_by}}


@dataclass(frozen=True)
class Transition:
    """One compare-and-set. `cursor` is its event's id, known before the write.

    `changes` are the fields that it sets, `attempts` what it adds to the attempt, and `entry` is what it puts on the
    timeline, but for the attempt; it lacks a reason and an error where there is none. With `published_at` it has been
    published by then, if that is not yet known. `passed` goes onto the timeline first if the task is still PENDING,
    which then passes through that status by the same write.
    """

    task_id: UUID
    cursor: Cursor
    status: TaskStatus
    expected: Expected
    changes: dict[str, Any]
    entry: dict[str, Any]
    attempts: int
    published_at: datetime | None
    passed: dict[str, Any] | None

    @property
    def filter(self) -> dict[str, Any]:
        """What finds the task if it may be changed."""
        return self.expected.filter(self.task_id)

    @property
    def update(self) -> list[dict[str, Any]]:
        """The aggregation pipeline that changes it."""
        return [{"$replaceWith": _changed({"$literal": self.changes}, {"$literal": self.entry}, self)}]

    def operation(self) -> UpdateOne:
        """Return it as an operation of a bulk write."""
        return UpdateOne(self.filter, self.update)

    def event(self, attempt: int) -> StateChanged:
        """Return the event that it publishes of a task whose attempt is then this one."""
        told: dict[str, Any] = {name: value for name, value in self.entry.items() if name in _TOLD}
        return StateChanged(attempt=attempt, status=self.status, **told)


def for_each(tasks: Iterable[tuple[UUID, int]], build: Callable[[UUID, int], Transition]) -> list[Transition]:
    """Return the change of each task, given by id and epoch, made once for all of an epoch."""
    made: dict[int, Transition] = {}
    changes = []
    for task_id, epoch in tasks:
        if epoch not in made:
            made[epoch] = build(task_id, epoch)
        changes.append(replace(made[epoch], task_id=task_id))
    return changes


def operations(transitions: Sequence[Transition]) -> list[UpdateOne | UpdateMany]:
    """Return the operations of a bulk write that makes these changes: those that expect the same of their tasks share
    one, for what a write costs is mostly that it is one."""

    def likeness(transition: Transition) -> tuple[Any, ...]:
        expected = transition.expected
        times = str(expected.lease_ended_by), str(transition.published_at)
        return expected.epoch, sorted(expected.statuses), times, transition.attempts, transition.passed is None

    return [
        operation
        for _, alike in groupby(sorted(transitions, key=likeness), key=likeness)
        for operation in _shared(list(alike))
    ]


def _shared(alike: Sequence[Transition]) -> Iterator[UpdateOne | UpdateMany]:
    first = alike[0]
    if len(alike) > 1 and all(each.changes is first.changes and each.entry is first.entry for each in alike):
        yield UpdateMany(first.expected.filter({"$in": [each.task_id for each in alike]}), first.update)
        return
    size, members = 0, list[tuple[Transition, Own]]()
    for transition in alike:
        its_own = own(transition.task_id, {"changes": transition.changes, "entry": transition.entry})
        if members and size + its_own.size > SHARED_BYTES:
            yield _as_one(members)
            size, members = 0, []
        size += its_own.size
        members.append((transition, its_own))
    yield _as_one(members)


def _as_one(members: Sequence[tuple[Transition, Own]]) -> UpdateOne | UpdateMany:
    first = members[0][0]
    if len(members) == 1:
        return first.operation()
    changed = with_own([its_own for _, its_own in members], _changed("$$own.changes", "$$own.entry", first))
    task_ids = [transition.task_id for transition, _ in members]
    return UpdateMany(first.expected.filter({"$in": task_ids}), [{"$replaceWith": changed}])


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
    is_published: bool = False,
    passing: Transition | None = None,
) -> Transition:
    """Return the change to `status` of a task that has one of the expected ones, under the event's id `cursor`.

    `fields` are set with it, `attempts` is added to the attempt; with `lease_ended_by` the change is made only if the
    lease had ended by then. `is_published` says that the broker had the task. `passing` is the change that a PENDING
    task has not seen yet.
    """
    now = utc_now()
    entry: dict[str, Any] = {"epoch": cursor.epoch, "n": cursor.n, "at": now, "status": status.value, "by": by}
    if reason is not None:
        entry["reason"] = reason
    if error is not None:
        entry |= {"error_code": error.code, "error_message": error.message}
    changes = {"status": status.value, "status_at": now, "epoch": cursor.epoch, "n": cursor.n, **(fields or {})}
    if status in TERMINAL:
        changes |= _fields_of_end(now, error)
    expected = Expected(expect_epoch, expect, lease_ended_by)
    published_at, passed = now if is_published else None, passing.entry if passing else None
    return Transition(task_id, cursor, status, expected, changes, entry, attempts, published_at, passed)


def _fields_of_end(now: datetime, error: TaskFailure | None) -> dict[str, Any]:
    return {
        "finished_at": now,
        "expire_at": now + timedelta(seconds=FINISHED_TASK_TTL_S),
        "lease": None,
        "claim": None,
        "error": error and error.model_dump(),
        "checkpoint": None,
    }


def _changed(changes: Any, entry: Any, like: Transition) -> dict[str, Any]:
    """Return the expression of a changed task, for expressions that give the fields to set and the new entry."""
    attempt = {"$add": ["$attempt", like.attempts]}
    entries: list[Any] = ["$timeline", [{"$mergeObjects": [entry, {"attempt": attempt}]}]]
    if like.passed is not None:
        passed = [{"$mergeObjects": [{"$literal": like.passed}, {"attempt": "$attempt"}]}]
        entries.insert(1, {"$cond": [{"$eq": ["$status", TaskStatus.PENDING.value]}, passed, []]})
    timeline = {"$slice": [{"$concatArrays": entries}, -TIMELINE_LENGTH]}
    made: dict[str, Any] = {"attempt": attempt, "timeline": timeline}
    if like.published_at is not None:
        made["published_at"] = {"$ifNull": ["$published_at", like.published_at]}
    return {"$mergeObjects": ["$$ROOT", changes, made]}
