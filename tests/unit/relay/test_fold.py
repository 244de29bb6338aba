"""How a document moves on with an event."""

from datetime import timedelta

import pytest

from core.documents import TaskFailure
from core.events import Cursor, Logged
from core.states import TaskStatus
from gateway.relay.fold import fold, is_complete, is_next, newer
from tests.unit.relay.tasks import START, progress, state, task


def test_the_document_that_is_folded_stays_as_it_was() -> None:
    known = task(timeline=[])
    before = known.model_copy(deep=True)
    fold(fold(known, Cursor(2, 1), state(TaskStatus.RUNNING)), Cursor(2, 2), progress(5))
    assert known == before


def test_a_claim_begins_an_attempt() -> None:
    known = task(progress=progress_of(70), progress_at=START, attempt=1, epoch=3, n=1)
    running = fold(known, Cursor(4, 1), state(TaskStatus.RUNNING, attempt=2, second=9))
    assert (running.status, running.attempt, running.cursor) == (TaskStatus.RUNNING, 2, Cursor(4, 1))
    assert (running.progress.current, running.progress.total, running.progress_at) == (0, None, None)
    assert running.started_at == running.worker_seen_at == START + timedelta(seconds=9)
    assert [entry.cursor for entry in running.timeline] == [Cursor(4, 1)]
    assert running.timeline[0].event() == state(TaskStatus.RUNNING, attempt=2, second=9)


def progress_of(current: int) -> object:
    return fold(task(), Cursor(9, 9), progress(current)).progress


def test_progress_changes_nothing_else() -> None:
    known = task(status=TaskStatus.CANCELLING, attempt=1, epoch=2, n=4)
    moved = fold(known, Cursor(2, 5), progress(40, second=3))
    assert (moved.progress.current, moved.progress.total, moved.progress_at) == (40, 100, START + timedelta(seconds=3))
    assert (moved.status, moved.cursor, moved.timeline) == (TaskStatus.CANCELLING, Cursor(2, 5), known.timeline)


def test_a_log_line_moves_only_the_cursor() -> None:
    known = task()
    moved = fold(known, Cursor(1, 2), Logged(at=START, attempt=0, text="hello"))
    assert moved == known.model_copy(update={"n": 2})


@pytest.mark.parametrize("status", [TaskStatus.FAILED, TaskStatus.CANCELLED])
def test_an_end_brings_its_error_and_its_time(status: TaskStatus) -> None:
    event = state(status, second=8, error_code="BROKEN", error_message="It broke.")
    ended = fold(task(status=TaskStatus.RUNNING, epoch=2), Cursor(2, 2), event)
    assert (ended.status, ended.finished_at) == (status, START + timedelta(seconds=8))
    assert ended.error == TaskFailure(code="BROKEN", message="It broke.")


def test_a_cancel_brings_its_reason() -> None:
    ended = fold(task(status=TaskStatus.RUNNING), Cursor(2, 2), state(TaskStatus.CANCELLING, reason="too slow"))
    assert (ended.cancel_reason, ended.cancel_requested_at) == ("too slow", START)


@pytest.mark.parametrize(
    ("cursors", "complete"),
    [
        ([], True),
        ([(2, 5)], True),
        ([(2, 6)], False),
        ([(2, 5), (2, 7)], False),
        ([(3, 1)], True),
        ([(3, 2)], False),
        ([(2, 5), (4, 1), (4, 2)], True),
        ([(2, 5), (4, 1), (5, 2)], False),
    ],
)
def test_a_hole_is_seen(cursors: list[tuple[int, int]], complete: bool) -> None:
    assert is_complete(Cursor(2, 4), [Cursor(*cursor) for cursor in cursors]) is complete


def test_only_the_same_epoch_goes_on_directly() -> None:
    assert is_next(Cursor(2, 4), Cursor(2, 5))
    assert not is_next(Cursor(2, 4), Cursor(2, 6))
    assert not is_next(Cursor(2, 4), Cursor(3, 1))


def test_a_stored_change_of_status_keeps_the_later_progress() -> None:
    known = task(status=TaskStatus.RUNNING, attempt=1, epoch=2, n=9, progress=progress_of(90), progress_at=START)
    earlier = START - timedelta(seconds=1)
    stored = known.model_copy(
        update={"status": TaskStatus.CANCELLING, "n": 10, "progress": progress_of(40), "progress_at": earlier}
    )
    merged = newer(known, stored)
    assert (merged.status, merged.cursor, merged.progress.current) == (TaskStatus.CANCELLING, Cursor(2, 10), 90)
    assert newer(known, stored.model_copy(update={"attempt": 2})).progress.current == 40
    assert newer(known, stored.model_copy(update={"progress_at": START})).progress.current == 40


def test_a_cancel_of_an_unclaimed_task_brings_its_reason() -> None:
    queued = task(status=TaskStatus.QUEUED, epoch=1, n=2)
    ended = fold(queued, Cursor(2, 1), state(TaskStatus.CANCELLED, attempt=0, reason="no longer needed"))
    assert (ended.cancel_reason, ended.cancel_requested_at) == ("no longer needed", ended.finished_at)


def test_an_older_document_is_not_taken() -> None:
    known = task(epoch=2, n=9)
    assert newer(known, task(epoch=2, n=8, status=TaskStatus.RUNNING)) is known
    assert newer(known, task(epoch=2, n=9)) is known


def test_a_stored_end_is_always_taken() -> None:
    known = task(epoch=2, n=9, status=TaskStatus.RUNNING)
    assert newer(known, task(epoch=2, n=8, status=TaskStatus.FAILED)).status is TaskStatus.FAILED
