"""How a task's document moves on with an event. Pure: no I/O, and no document that is passed in is changed."""

from collections.abc import Iterable
from typing import Any

from core.documents import Task, TaskFailure, TaskProgress, TimelineEntry
from core.events import Cursor, Event, Progressed, StateChanged
from core.states import TaskStatus
from core.transition import TIMELINE_LENGTH


def is_next(last: Cursor, cursor: Cursor) -> bool:
    """Return whether nothing of the same epoch can lie between `last` and `cursor`."""
    return cursor.epoch == last.epoch and cursor.n == last.n + 1


def is_complete(last: Cursor, cursors: Iterable[Cursor]) -> bool:
    """Return whether rising `cursors` go on from `last` without a hole; each later epoch has to begin with 1."""
    for cursor in cursors:
        if not is_next(last, cursor) and (cursor.epoch == last.epoch or cursor.n != 1):
            return False
        last = cursor
    return True


def is_end(event: Event) -> bool:
    """Return whether the task ends with this event."""
    return isinstance(event, StateChanged) and event.status.is_terminal


def fold(task: Task, cursor: Cursor, event: Event) -> Task:
    """Return the task as it is after the event with this id.

    An end brings status, error and times, but not the result, which only the stored document holds.
    """
    changes: dict[str, Any] = {"epoch": cursor.epoch, "n": cursor.n}
    if isinstance(event, Progressed):
        progress = TaskProgress.model_construct(current=event.current, total=event.total, message=event.message)
        changes |= {"progress": progress, "progress_at": event.at}
    elif isinstance(event, StateChanged):
        changes |= _state_changed(task, cursor, event)
    moved: Task = task.model_copy(update=changes)
    return moved


def _state_changed(task: Task, cursor: Cursor, event: StateChanged) -> dict[str, Any]:
    entry = TimelineEntry.model_construct(
        epoch=cursor.epoch,
        n=cursor.n,
        at=event.at,
        attempt=event.attempt,
        status=event.status,
        by=event.by,
        reason=event.reason,
        error_code=event.error_code,
        error_message=event.error_message,
    )
    changes: dict[str, Any] = {
        "status": event.status,
        "attempt": event.attempt,
        "timeline": [*task.timeline, entry][-TIMELINE_LENGTH:],
    }
    if event.status is TaskStatus.RUNNING:
        changes |= {
            "started_at": event.at,
            "worker_seen_at": event.at,
            "progress": TaskProgress.model_construct(),
            "progress_at": None,
        }
    elif event.status is TaskStatus.CANCELLING:
        changes |= {"cancel_requested_at": task.cancel_requested_at or event.at, "cancel_reason": event.reason}
    elif event.status.is_terminal:
        changes |= {"finished_at": event.at, "error": _failure(event)}
        if event.status is TaskStatus.CANCELLED:
            changes |= {
                "cancel_requested_at": task.cancel_requested_at or event.at,
                "cancel_reason": event.reason or task.cancel_reason,
            }
    return changes


def _failure(event: StateChanged) -> TaskFailure | None:
    if event.error_code is None:
        return None
    return TaskFailure(code=event.error_code, message=event.error_message or "")


def newer(known: Task, stored: Task) -> Task:
    """Return the later of a folded document and a stored one of the same task.

    A stored document is written with a change of status at once, but with progress only once a second: so where both
    are of one attempt, the folded document's progress stays when it is the later one. A stored end is always later.
    """
    ends = stored.status.is_terminal and not known.status.is_terminal
    if stored.cursor <= known.cursor and not ends:
        return known
    if stored.attempt != known.attempt or known.progress_at is None:
        return stored
    if stored.progress_at is not None and stored.progress_at >= known.progress_at:
        return stored
    merged: Task = stored.model_copy(update={"progress": known.progress, "progress_at": known.progress_at})
    return merged
