"""Trying an ended task again: a new task with the same work, which names the old one. The old one never changes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from core.clock import utc_now
from core.documents import DeadLetter, Task, TimelineEntry
from core.errors import Conflict, NotFound
from core.states import TERMINAL, TaskStatus
from gateway.bulk import BULK_LIMIT, BulkOutcome
from gateway.submit import BY, Submitter
from jobs.kinds import Kind

RETRIED_BY_DEFAULT = TERMINAL - {TaskStatus.SUCCEEDED}
"""What a retry by filter takes where the filter names no status."""
CHUNK = 50
"""Tasks in memory at once: an input may be 8 MB."""
HEAVY = ("result", "checkpoint", "timeline")


@dataclass(frozen=True)
class Retrier:
    """Submits ended tasks again. It keeps nothing between calls."""

    submitter: Submitter
    kinds: Mapping[str, Kind]

    async def retry(self, task_id: UUID, *, visible: Mapping[str, Any], correlation_id: str | None = None) -> Task:
        """Return a new task that repeats an ended one that is `visible`: its kind, input, priority, timeout, attempts.

        It has the same owner, no idempotency key and no batch, starts at once and keeps a deadline still to come.
        Raises NotFound, Conflict if the task has not ended, its kind is not installed or no longer takes the input, and
        PyMongoError.
        """
        task = await Task.find_one({"_id": task_id, **visible})
        if task is None:
            raise NotFound("task", task_id)
        if not task.status.is_terminal:
            raise Conflict("id", f"The task is {task.status}; only one that has ended can be retried")
        self._check(task)
        again = await self.submitter.accept(_again(task, correlation_id))
        await _drop_letters([task])
        return again

    def _check(self, task: Task) -> None:
        kind = self.kinds.get(task.kind)
        if kind is None:
            raise Conflict("id", f"The kind {task.kind} is not installed here; install it, then retry")
        try:
            kind.input_model.model_validate(task.input)
        except ValidationError as exc:
            raise Conflict("id", f"The kind {task.kind} no longer takes this task's input; submit it anew") from exc

    async def retry_all(
        self, conditions: Sequence[Mapping[str, Any]], *, dry_run: bool, correlation_id: str | None = None
    ) -> BulkOutcome:
        """Retry up to 1,000 ended tasks of installed kinds that meet the conditions, the oldest first.

        A task that was retried before is left out, so calling again goes on where the last call stopped; so is one
        whose input its kind no longer takes. Raises PyMongoError; some may have been retried then.
        """
        query = {"$and": [*conditions, {"status": {"$in": sorted(TERMINAL)}, "kind": {"$in": sorted(self.kinds)}}]}
        matched = await _count(query)
        if dry_run:
            return BulkOutcome(matched, 0, has_more=matched > BULK_LIMIT)
        chosen = await _choose(query)
        changed = 0
        for start in range(0, len(chosen), CHUNK):
            tasks = [task for task in await _read(chosen[start : start + CHUNK]) if self._is_taken(task)]
            if tasks:
                await self.submitter.accept_all([_again(task, correlation_id) for task in tasks])
                await _drop_letters(tasks)
            changed += len(tasks)
        return BulkOutcome(matched, changed, has_more=matched > len(chosen))

    def _is_taken(self, task: Task) -> bool:
        try:
            self._check(task)
        except Conflict:
            return False
        return True


def default_statuses(conditions: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the conditions, with one on the status added if they have none: every end but SUCCEEDED."""
    if any("status" in condition for condition in conditions):
        return list(conditions)
    return [*conditions, {"status": {"$in": sorted(RETRIED_BY_DEFAULT)}}]


def _unretried(query: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the stages that find tasks which no other task repeats; the index of `retry_of` serves the look-up."""
    return [
        {"$match": query},
        {"$project": {"_id": 1}},
        {
            "$lookup": {
                "from": Task.get_collection_name(),
                "localField": "_id",
                "foreignField": "retry_of",
                "as": "retries",
            }
        },
        {"$match": {"retries": []}},
    ]


async def _count(query: Mapping[str, Any]) -> int:
    found = await Task.get_pymongo_collection().aggregate([*_unretried(query), {"$count": "tasks"}])
    counts = await found.to_list()
    return int(counts[0]["tasks"]) if counts else 0


async def _choose(query: Mapping[str, Any]) -> list[UUID]:
    stages = [*_unretried(query), {"$sort": {"_id": 1}}, {"$limit": BULK_LIMIT}, {"$project": {"_id": 1}}]
    return [found["_id"] async for found in await Task.get_pymongo_collection().aggregate(stages)]


async def _read(task_ids: Sequence[UUID]) -> list[Task]:
    found = Task.get_pymongo_collection().find({"_id": {"$in": list(task_ids)}}, dict.fromkeys(HEAVY, 0))
    return [Task.model_validate(document) async for document in found.sort("_id", 1)]


async def _drop_letters(tasks: Sequence[Task]) -> None:
    """Drop the dead letters of tasks whose kind was unknown: they have been tried again."""
    unknown = [task.id for task in tasks if task.error is not None and task.error.code == "UNKNOWN_KIND"]
    if unknown:
        await DeadLetter.find({"_id": {"$in": unknown}}).delete_many()


def _again(task: Task, correlation_id: str | None) -> Task:
    now = utc_now()
    return Task(
        kind=task.kind,
        owner=task.owner,
        status=TaskStatus.PENDING,
        priority=task.priority,
        input=task.input,
        max_attempts=task.max_attempts,
        timeout_s=task.timeout_s,
        created_at=now,
        deadline=task.deadline if task.deadline is not None and task.deadline > now else None,
        retry_of=task.id,
        correlation_id=correlation_id,
        timeline=[TimelineEntry(epoch=1, n=1, at=now, attempt=0, status=TaskStatus.PENDING, by=BY)],
    )
