"""The state machine: who may change a task's status from what to what, under which epoch, and what is stored with it.

Every function returns a Transition (core/transition.py): `filter` and `update` for MongoDB, and the id of the event
that the same write puts on the timeline.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from pymongo import UpdateMany

from core.choices import own, with_own
from core.clock import utc_now
from core.documents import Lease, TaskFailure, TaskProgress
from core.events import Cursor
from core.states import CLAIMABLE, HELD, UNCLAIMED, TaskStatus
from core.transition import Transition, change

PROGRESS_AT_ONCE = 500
"""Tasks whose progress shares a write: 2 MB of it, where each tells 1,000 characters of four bytes."""


def progress_fields(progress: TaskProgress, at: datetime | None) -> dict[str, Any]:
    """Return the document's fields that tell how far the attempt is."""
    return {"progress": progress.model_dump(), "progress_at": at}


class ProgressWrite(NamedTuple):
    """The progress of a running task as of event `cursor`; `fields` are those of `progress_fields`."""

    task_id: UUID
    cursor: Cursor
    fields: dict[str, Any]


def progress_operations(writes: Sequence[ProgressWrite], at_once: int = PROGRESS_AT_ONCE) -> list[UpdateMany]:
    """Return the operations of a bulk write that stores progress; what a task has of a later event stays."""
    operations = []
    for start in range(0, len(writes), at_once):
        some = writes[start : start + at_once]
        owns = [own(task_id, {**fields, "n": cursor.n, "epoch": cursor.epoch}) for task_id, cursor, fields in some]
        is_newer = {"$and": [{"$eq": ["$epoch", "$$own.epoch"]}, {"$lt": ["$n", "$$own.n"]}]}
        changed = with_own(owns, {"$cond": [is_newer, {"$mergeObjects": ["$$ROOT", "$$own"]}, "$$ROOT"]})
        held = {"_id": {"$in": [write.task_id for write in some]}, "status": {"$in": sorted(HELD)}}
        operations.append(UpdateMany(held, [{"$replaceWith": changed}]))
    return operations


def queued(task_id: UUID, epoch: int, *, by: str, is_published: bool = False) -> Transition:
    """PENDING → QUEUED by the bridge, under the ticket's epoch and the fixed number 2, so that a repeat is harmless.

    `is_published` says that it came from a broker, here and below.
    """
    return change(
        task_id,
        expect_epoch=epoch,
        expect=frozenset({TaskStatus.PENDING}),
        cursor=Cursor(epoch, 2),
        status=TaskStatus.QUEUED,
        by=by,
        is_published=is_published,
    )


def claimed(
    task_id: UUID, epoch: int, *, worker: str, token: str, lease_until: datetime, is_published: bool = False
) -> Transition:
    """PENDING or QUEUED → RUNNING: the worker that wins holds `epoch + 1` from here on.

    A worker may be quicker than the bridge's mark: then the claim stores the bridge's change too, as the worker's own.
    `token` is fresh for each batch, so that one find tells which of a batch's claims were won.
    """
    now = utc_now()
    return change(
        task_id,
        expect_epoch=epoch,
        expect=CLAIMABLE,
        cursor=Cursor(epoch + 1, 1),
        status=TaskStatus.RUNNING,
        by=worker,
        attempts=1,
        is_published=is_published,
        passing=queued(task_id, epoch, by=worker),
        fields={
            "claim": token,
            "lease": Lease(worker=worker, until=lease_until).model_dump(),
            "worker_seen_at": now,
            "started_at": now,
            **progress_fields(TaskProgress(), None),
        },
    )


def succeeded(task_id: UUID, cursor: Cursor, *, by: str, result: dict[str, Any], told: dict[str, Any]) -> Transition:
    """RUNNING or CANCELLING → SUCCEEDED by the holder of the cursor's epoch (a cancel may come too late).

    `told` is the latest progress as `progress_fields` gives it; every write of a holder carries it along.
    """
    return change(
        task_id,
        expect_epoch=cursor.epoch,
        expect=HELD,
        cursor=cursor,
        status=TaskStatus.SUCCEEDED,
        by=by,
        fields={"result": result, **told},
    )


def failed(
    task_id: UUID, cursor: Cursor, *, by: str, error: TaskFailure, failures: int, told: dict[str, Any]
) -> Transition:
    """RUNNING or CANCELLING → FAILED by the holder; `failures` is the new count."""
    return change(
        task_id,
        expect_epoch=cursor.epoch,
        expect=HELD,
        cursor=cursor,
        status=TaskStatus.FAILED,
        by=by,
        error=error,
        fields={"failures": failures, **told},
    )


def retrying(
    task_id: UUID,
    cursor: Cursor,
    *,
    by: str,
    error: TaskFailure,
    failures: int,
    run_at: datetime,
    told: dict[str, Any],
) -> Transition:
    """RUNNING → RETRYING by the holder after a transient error; it is due at `run_at`."""
    return change(
        task_id,
        expect_epoch=cursor.epoch,
        expect=frozenset({TaskStatus.RUNNING}),
        cursor=cursor,
        status=TaskStatus.RETRYING,
        by=by,
        error=error,
        fields={"failures": failures, "run_at": run_at, "lease": None, "claim": None, **told},
    )


def requeued(
    task_id: UUID,
    epoch: int,
    *,
    by: str,
    reason: str,
    crashes: int | None = None,
    told: dict[str, Any] | None = None,
    lease_ended_by: datetime | None = None,
) -> Transition:
    """RUNNING or RETRYING → QUEUED under `epoch + 1`: a retry is due, a dead worker's task is taken over, or a
    draining worker hands back. `crashes` is the new count where a worker died, `told` the progress where its holder
    gives it back; with `lease_ended_by` the change is made only if the lease had ended by then."""
    fields: dict[str, Any] = {"lease": None, "claim": None, "run_at": None, **(told or {})}
    if crashes is not None:
        fields["crashes"] = crashes
    return change(
        task_id,
        expect_epoch=epoch,
        expect=frozenset({TaskStatus.RUNNING, TaskStatus.RETRYING}),
        cursor=Cursor(epoch + 1, 1),
        status=TaskStatus.QUEUED,
        by=by,
        reason=reason,
        fields=fields,
        lease_ended_by=lease_ended_by,
    )


def due(task_id: UUID, epoch: int, *, by: str) -> Transition:
    """SCHEDULED → PENDING under `epoch + 1`: its time has come, it is owed to the broker."""
    return change(
        task_id,
        expect_epoch=epoch,
        expect=frozenset({TaskStatus.SCHEDULED}),
        cursor=Cursor(epoch + 1, 1),
        status=TaskStatus.PENDING,
        by=by,
        fields={"published_at": None},
    )


def cancelled_unclaimed(task_id: UUID, epoch: int, *, by: str, reason: str | None) -> Transition:
    """A task that no worker holds → CANCELLED under `epoch + 1`."""
    return change(
        task_id,
        expect_epoch=epoch,
        expect=UNCLAIMED,
        cursor=Cursor(epoch + 1, 1),
        status=TaskStatus.CANCELLED,
        by=by,
        reason=reason,
        fields={"cancel_requested_at": utc_now(), "cancel_reason": reason},
    )


def expired(task_id: UUID, epoch: int, *, by: str) -> Transition:
    """A task that no worker holds → EXPIRED under `epoch + 1`: its deadline passed before it could start."""
    return change(
        task_id,
        expect_epoch=epoch,
        expect=UNCLAIMED,
        cursor=Cursor(epoch + 1, 1),
        status=TaskStatus.EXPIRED,
        by=by,
        reason="its deadline passed before it could start",
    )


def cancelling(task_id: UUID, cursor: Cursor, *, by: str, reason: str | None, told: dict[str, Any]) -> Transition:
    """RUNNING → CANCELLING by the holder, which has read the intent."""
    return change(
        task_id,
        expect_epoch=cursor.epoch,
        expect=frozenset({TaskStatus.RUNNING}),
        cursor=cursor,
        status=TaskStatus.CANCELLING,
        by=by,
        reason=reason,
        fields=told,
    )


def cancelled(
    task_id: UUID, cursor: Cursor, *, by: str, reason: str | None, error: TaskFailure | None, told: dict[str, Any]
) -> Transition:
    """RUNNING or CANCELLING → CANCELLED by the holder: the code has yielded, or `error` says that it was FORCED."""
    return change(
        task_id,
        expect_epoch=cursor.epoch,
        expect=HELD,
        cursor=cursor,
        status=TaskStatus.CANCELLED,
        by=by,
        reason=reason,
        error=error,
        fields=told,
    )


def seized(
    task_id: UUID,
    epoch: int,
    status: TaskStatus,
    *,
    by: str,
    error: TaskFailure | None,
    reason: str | None = None,
    told: dict[str, Any] | None = None,
    lease_ended_by: datetime | None = None,
) -> Transition:
    """RUNNING or CANCELLING → CANCELLED or FAILED under `epoch + 1`, taken from a worker that is dead or deaf; with
    `told` where its process still knows the progress, with `lease_ended_by` only if the lease had ended by then."""
    return change(
        task_id,
        expect_epoch=epoch,
        expect=HELD,
        cursor=Cursor(epoch + 1, 1),
        status=status,
        by=by,
        reason=reason,
        error=error,
        fields=told,
        lease_ended_by=lease_ended_by,
    )
