"""Batches: tasks submitted together, all or none, and the roll-up that the database computes of them."""

import asyncio
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from pymongo.errors import BulkWriteError, PyMongoError

from core.clock import utc_now
from core.documents import Batch, Task
from core.errors import BadUserInput, Conflict, NotFound
from core.states import TERMINAL, UNCLAIMED, TaskStatus
from core.telemetry import get_logger
from gateway.inserts import DUPLICATE_KEY
from gateway.plans.same import Same
from gateway.submit import UNSTORABLE, Submitter

MAX_BATCH = 1_000
RATE_WINDOW_S = 30.0
"""The rate is that of the tasks which ended this recently."""

log = get_logger(__name__)


async def submit_batch(submitter: Submitter, batch: Batch, tasks: Sequence[Task]) -> None:
    """Store the batch and its tasks, by one write each, and hand the tasks over together.

    Raises BadUserInput or Conflict naming the index of a task whose idempotency key is used twice or was used before,
    and PyMongoError; what is stored then is removed again.
    """
    await _refuse_used_keys(batch.owner, tasks)
    await batch.insert()
    try:
        await submitter.accept_all(tasks)
    except BulkWriteError as exc:
        await asyncio.shield(_remove(batch))
        errors = exc.details["writeErrors"]
        if errors and errors[0]["code"] == DUPLICATE_KEY:
            raise _used(errors[0]["index"], "another task") from exc
        raise
    except UNSTORABLE as exc:
        await asyncio.shield(_remove(batch))
        raise BadUserInput("inputs", "values that can be stored") from exc
    except PyMongoError:
        await asyncio.shield(_remove(batch))
        raise


async def _refuse_used_keys(owner: str, tasks: Sequence[Task]) -> None:
    indexes: dict[str, int] = {}
    for index, task in enumerate(tasks):
        if task.idempotency_key is not None and indexes.setdefault(task.idempotency_key, index) != index:
            first = indexes[task.idempotency_key]
            raise BadUserInput(f"inputs.{index}.options.idempotencyKey", f"another key than that of inputs.{first}")
    if indexes:
        known = await Task.get_pymongo_collection().find_one(
            {"owner": owner, "idempotency_key": {"$type": "string", "$in": sorted(indexes)}}, {"idempotency_key": 1}
        )
        if known is not None:
            raise _used(indexes[known["idempotency_key"]], f"task {known['_id']}")


def _used(index: int, by: str) -> Conflict:
    return Conflict(
        f"inputs.{index}.options.idempotencyKey", f"The idempotencyKey of inputs.{index} stands for {by} already"
    )


async def _remove(batch: Batch) -> None:
    try:
        # What a worker may hold by now stays and runs to its end.
        await Task.find({"batch_id": batch.id, "status": {"$in": sorted(UNCLAIMED)}}).delete_many()
        await batch.delete()
    except PyMongoError as exc:
        log.warning("Could not remove a batch that was not stored whole", batch_id=str(batch.id), reason=str(exc))


async def find_batch(batch_id: UUID, visible: Mapping[str, Any]) -> Batch:
    """Return the batch if it is `visible`, which is MongoDB's filter of what the asker may see. Raises NotFound."""
    batch = await Batch.find_one({"_id": batch_id, **visible})
    if batch is None:
        raise NotFound("batch", batch_id)
    return batch


@dataclass(frozen=True)
class StatusCount:
    """How many tasks have a status."""

    status: TaskStatus
    count: int


@dataclass(frozen=True)
class RollUp:
    """How far a batch is. Tasks that were removed 30 days after their end count as done, but in no status."""

    batch: Batch
    numbers: Mapping[TaskStatus, int]
    done: float
    """The sum of the fractions of the tasks that are stored; one that has ended counts 1, however it ended."""
    recent: int
    """Tasks that ended within the last 30 s."""
    started_at: datetime | None
    ended_at: datetime | None
    at: datetime

    @property
    def told_to_all(self) -> Hashable:
        """The key of what all followers of the batch are told."""
        return Same(self)

    @property
    def id(self) -> UUID:
        """The batch's id."""
        return self.batch.id

    @property
    def total(self) -> int:
        """How many tasks it was made of."""
        return self.batch.total

    @property
    def created_at(self) -> datetime:
        """When it was submitted."""
        return self.batch.created_at

    @property
    def counts(self) -> list[StatusCount]:
        """How many tasks have which status, without those that none has."""
        return [StatusCount(status, number) for status, number in self.numbers.items()]

    @property
    def removed(self) -> int:
        """Tasks that are no longer stored."""
        return max(0, self.total - sum(self.numbers.values()))

    @property
    def ended(self) -> int:
        """Tasks that have ended."""
        return self.removed + sum(number for status, number in self.numbers.items() if status.is_terminal)

    @property
    def is_finished(self) -> bool:
        """Whether every task has ended."""
        return self.ended >= self.total

    @property
    def percent(self) -> float:
        """The mean of the tasks' fractions, 0 to 100."""
        return 100.0 * min(1.0, (self.done + self.removed) / self.total)

    @property
    def finished_at(self) -> datetime | None:
        """When the last task ended."""
        return self.ended_at if self.is_finished else None

    @property
    def rate_per_s(self) -> float:
        """Tasks that ended a second: of the last 30 s, or of the whole time once the batch has finished."""
        if self.finished_at is not None:
            return self.ended / max(0.001, (self.finished_at - self.created_at).total_seconds())
        age_s = (self.at - self.created_at).total_seconds()
        return self.recent / max(1.0, min(RATE_WINDOW_S, age_s))

    @property
    def eta_s(self) -> float | None:
        """Seconds to the end at this rate, or at the pace of the work so far where nothing ended lately.

        None while nothing has moved, and when nothing runs and nothing ended lately.
        """
        if self.is_finished:
            return 0.0
        left = self.total - self.done - self.removed
        pace = self.rate_per_s
        if not pace and self.started_at is not None and self.numbers.get(TaskStatus.RUNNING):
            pace = self.done / max(1.0, (self.at - self.started_at).total_seconds())
        return left / pace if pace else None

    @property
    def state(self) -> tuple[object, ...]:
        """What has to differ for a follower to be told."""
        return (dict(self.numbers), self.done, self.recent)


def _stages(batch_id: UUID, since: datetime) -> list[dict[str, Any]]:
    fraction = {"$divide": ["$progress.current", "$progress.total"]}
    of_one = {
        "$cond": [
            {"$in": ["$status", sorted(TERMINAL)]},
            1.0,
            {"$cond": [{"$gt": ["$progress.total", 0]}, {"$max": [0.0, {"$min": [1.0, fraction]}]}, 0.0]},
        ]
    }
    return [
        {"$match": {"batch_id": batch_id}},
        {
            "$group": {
                "_id": "$status",
                "number": {"$sum": 1},
                "done": {"$sum": of_one},
                "recent": {"$sum": {"$cond": [{"$gte": ["$finished_at", since]}, 1, 0]}},
                "started_at": {"$min": "$started_at"},
                "ended_at": {"$max": "$finished_at"},
            }
        },
    ]


async def roll_up(batch: Batch) -> RollUp:
    """Compute how far a batch is, by one aggregation. Raises PyMongoError."""
    now = utc_now()
    since = now - timedelta(seconds=RATE_WINDOW_S)
    groups = await (await Task.get_pymongo_collection().aggregate(_stages(batch.id, since))).to_list()
    started = [group["started_at"] for group in groups if group["started_at"]]
    ended = [group["ended_at"] for group in groups if group["ended_at"]]
    found = {group["_id"]: group["number"] for group in groups}
    return RollUp(
        batch=batch,
        numbers={status: found[status] for status in TaskStatus if status in found},
        done=float(sum(group["done"] for group in groups)),
        recent=sum(group["recent"] for group in groups),
        started_at=min(started, default=None),
        ended_at=max(ended, default=None),
        at=now,
    )
