"""What is concluded when the worker or the process that ran a task is lost: who is suspected, and who is to blame.

See docs/adr/0002-suspects-run-alone.md.
"""

from datetime import datetime

from core.documents import Task, TaskFailure
from core.states import TaskStatus
from core.transition import Transition
from core.transitions import requeued, seized

CRASHES_ALLOWED = 2
"""A task that was lost so often is a suspect: it runs alone, and if its process dies then, it was to blame."""
LOSSES_ALLOWED = 9
"""A task whose losses nobody saw, because its worker's supervisor went with it, is given up after so many."""


def is_suspect(crashes: int) -> bool:
    """Return whether a task with this count is to run in a worker process of its own."""
    return crashes >= CRASHES_ALLOWED


def judge(
    task: Task, *, by: str, lost: str, is_proven: bool = False, lease_ended_by: datetime | None = None
) -> Transition:
    """Return what becomes of a held task whose worker is gone.

    `lost` says how, for the timeline. `is_proven` says that someone who lives on saw the process end that this task had
    for itself. With `lease_ended_by` the change is made only if the lease had ended by then.
    """
    crashes = task.crashes + 1
    if task.cancel_requested_at is not None:
        return seized(
            task.id,
            task.epoch,
            TaskStatus.CANCELLED,
            by=by,
            error=None,
            reason=task.cancel_reason,
            lease_ended_by=lease_ended_by,
        )
    if is_proven or crashes > LOSSES_ALLOWED:
        error = TaskFailure(code="WORKER_LOST", message=f"{lost}; {crashes} workers were lost with this task")
        return seized(task.id, task.epoch, TaskStatus.FAILED, by=by, error=error, lease_ended_by=lease_ended_by)
    return requeued(task.id, task.epoch, by=by, reason=lost, crashes=crashes, lease_ended_by=lease_ended_by)
