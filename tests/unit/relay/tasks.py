"""Tasks and events for tests that open no socket."""

from datetime import UTC, datetime, timedelta

from core.documents import Task, TaskProgress
from core.events import Progressed, StateChanged
from core.ids import new_id
from core.states import TaskStatus

START = datetime(2026, 1, 1, tzinfo=UTC)


def task(**fields: object) -> Task:
    """Return a PENDING task at 1-1; `model_construct`, because Beanie's own constructor wants a database."""
    pending: Task = Task.model_construct(
        _fields_set=None,
        **{
            "id": new_id(),
            "kind": "processData",
            "status": TaskStatus.PENDING,
            "input": {"data": "x"},
            "max_attempts": 3,
            "timeout_s": 600.0,
            "progress": TaskProgress(),
            **fields,
        },
    )
    return pending


def state(
    status: TaskStatus,
    *,
    attempt: int = 1,
    second: int = 0,
    reason: str | None = None,
    error_code: str | None = None,
    error_message: str | None = None,
) -> StateChanged:
    """Return a change of status."""
    return StateChanged(
        at=START + timedelta(seconds=second),
        attempt=attempt,
        status=status,
        by="test",
        reason=reason,
        error_code=error_code,
        error_message=error_message,
    )


def progress(current: int, *, attempt: int = 1, second: int = 0) -> Progressed:
    """Return progress of 100."""
    return Progressed(at=START + timedelta(seconds=second), attempt=attempt, current=current, total=100)
