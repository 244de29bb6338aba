"""What a board's feed makes of events and documents."""

from datetime import datetime, timedelta

import pytest

from core.documents import Task, TimelineEntry
from core.events import Cursor, Event
from core.states import TaskStatus
from gateway.relay import board_tasks
from gateway.relay.board_tasks import BoardTasks, Change, statuses_since
from gateway.relay.stored import Position
from tests.unit.relay.tasks import START, progress, state, task

RUNNING = TaskStatus.RUNNING


def running(n: int = 1) -> Task:
    return task(status=RUNNING, attempt=1, epoch=2, n=n)


def told(tasks: BoardTasks) -> list[Change]:
    return list(tasks.changes())


def knowing(known: Task) -> BoardTasks:
    """Return what knows of one task, and has told of it."""
    tasks = BoardTasks()
    tasks.take(known)
    assert told(tasks) == [Change(known, None)]
    return tasks


def doubtful(tasks: BoardTasks) -> list[object]:
    return list(tasks.take_doubtful(100))


def test_progress_is_folded_without_reading() -> None:
    known = running()
    tasks = knowing(known)
    for n in range(2, 50):
        assert tasks.hear(known.id, Cursor(2, n), progress(n))
    [change] = told(tasks)
    assert (change.task.progress.current, change.task.cursor) == (49, Cursor(2, 49))
    assert change.before == Position(Cursor(2, 1), RUNNING)
    assert doubtful(tasks) == []
    assert told(tasks) == []


def test_an_unknown_task_is_read_and_its_progress_kept() -> None:
    tasks, stored = BoardTasks(), running(n=3)
    tasks.hear(stored.id, Cursor(2, 5), progress(5))
    tasks.hear(stored.id, Cursor(2, 6), progress(6))
    assert told(tasks) == []
    assert doubtful(tasks) == [stored.id]
    tasks.take(stored)
    [change] = told(tasks)
    assert (change.task.progress.current, change.before) == (6, None)
    tasks.hear(stored.id, Cursor(2, 7), progress(7))
    assert doubtful(tasks) == []


UNTOLD: dict[str, tuple[int, Event]] = {
    "a state after a hole": (3, state(TaskStatus.CANCELLING)),
    "progress after a hole": (3, progress(9)),
    "a state that does not tell when it is over": (2, state(TaskStatus.RETRYING)),
}


@pytest.mark.parametrize("name", UNTOLD)
def test_what_the_events_do_not_tell_is_read(name: str) -> None:
    n, event = UNTOLD[name]
    known = running()
    tasks = knowing(known)
    tasks.hear(known.id, Cursor(2, n), event)
    assert told(tasks) == []
    assert doubtful(tasks) == [known.id]


def test_a_task_is_read_once_from_its_queueing_to_its_end() -> None:
    known = task(status=TaskStatus.QUEUED, attempt=0, epoch=1, n=2)
    tasks = knowing(known)
    heard: list[tuple[Cursor, Event]] = [
        (Cursor(2, 1), state(RUNNING)),
        (Cursor(2, 2), progress(7)),
        (Cursor(2, 3), state(TaskStatus.CANCELLING)),
        (Cursor(2, 4), state(TaskStatus.CANCELLED)),
    ]
    seen = []
    for cursor, event in heard:
        assert tasks.hear(known.id, cursor, event)
        seen += [(change.task.cursor, change.task.status, change.task.progress.current) for change in told(tasks)]
    assert seen == [
        (Cursor(2, 1), RUNNING, 0),
        (Cursor(2, 2), RUNNING, 7),
        (Cursor(2, 3), TaskStatus.CANCELLING, 7),
        (Cursor(2, 4), TaskStatus.CANCELLED, 7),
    ]
    assert doubtful(tasks) == []


@pytest.mark.parametrize("published_at", [None, START])
def test_a_task_is_read_at_its_queueing_unless_it_is_known_to_be_published(published_at: datetime | None) -> None:
    known = task(epoch=1, n=1, published_at=published_at)
    tasks = knowing(known)
    tasks.hear(known.id, Cursor(1, 2), state(TaskStatus.QUEUED, attempt=0))
    assert (doubtful(tasks) == [known.id]) is (published_at is None)


def test_another_epoch_is_read_where_its_holder_may_have_told_more() -> None:
    known = running()
    tasks = knowing(known)
    tasks.hear(known.id, Cursor(3, 1), state(TaskStatus.QUEUED))
    assert told(tasks) == []
    assert doubtful(tasks) == [known.id]


def test_what_is_heard_during_the_read_is_not_lost() -> None:
    known = running()
    tasks = knowing(known)
    tasks.hear(known.id, Cursor(2, 3), progress(3))
    assert doubtful(tasks) == [known.id]
    tasks.hear(known.id, Cursor(2, 4), progress(4))
    tasks.hear(known.id, Cursor(2, 5), state(TaskStatus.CANCELLING))
    tasks.take(running().model_copy(update={"id": known.id}))
    assert told(tasks) == []
    assert doubtful(tasks) == [known.id]
    tasks.take(known.model_copy(update={"status": TaskStatus.CANCELLING, "n": 5}))
    [change] = told(tasks)
    assert change.task.status is TaskStatus.CANCELLING


def test_progress_is_not_folded_into_a_document_that_is_being_read() -> None:
    """A state that the hole hides has a lower id than that progress: it would be taken for old."""
    known = running()
    tasks = knowing(known)
    tasks.hear(known.id, Cursor(2, 3), progress(3))
    assert doubtful(tasks) == [known.id]
    assert told(tasks) == []
    assert tasks.known(known.id) is None
    tasks.take(known.model_copy(update={"status": TaskStatus.CANCELLING, "n": 2}))
    [change] = told(tasks)
    assert (change.task.status, change.task.progress.current) == (TaskStatus.CANCELLING, 3)


def test_a_stored_document_that_lags_does_not_move_the_bar_back() -> None:
    known = running()
    tasks = knowing(known)
    tasks.hear(known.id, Cursor(2, 2), progress(50))
    told(tasks)
    tasks.take(known)
    assert told(tasks) == []
    again = tasks.known(known.id)
    assert again is not None
    assert again.progress.current == 50


def test_a_read_that_failed_is_made_again() -> None:
    tasks, stored = BoardTasks(), running()
    tasks.hear(stored.id, stored.cursor, state(RUNNING))
    assert tasks.has_doubts
    assert doubtful(tasks) == [stored.id]
    assert not tasks.has_doubts
    tasks.doubt(stored.id)
    assert doubtful(tasks) == [stored.id]
    tasks.forget(stored.id)
    assert told(tasks) == []


def test_an_older_epoch_does_not_move_the_bar() -> None:
    known = task(status=RUNNING, attempt=2, epoch=4, n=1)
    tasks = knowing(known)
    assert not tasks.hear(known.id, Cursor(3, 90), progress(90))
    unheard = task(status=RUNNING, attempt=2, epoch=4, n=1)
    tasks.hear(unheard.id, Cursor(3, 90), progress(90))
    doubtful(tasks)
    tasks.take(unheard)
    [change] = told(tasks)
    assert change.task.progress.current == 0


def test_an_end_is_told_once_and_nothing_after_it() -> None:
    known = running()
    tasks = knowing(known)
    ended = known.model_copy(update={"status": TaskStatus.SUCCEEDED, "n": 2})
    tasks.take(ended)
    assert told(tasks) == [Change(ended, Position(Cursor(2, 1), RUNNING))]
    assert not tasks.hear(known.id, Cursor(2, 2), state(TaskStatus.SUCCEEDED))
    assert not tasks.is_news(known.id, Position(Cursor(2, 2), TaskStatus.SUCCEEDED))
    tasks.take(ended)
    assert told(tasks) == []


def test_a_stored_end_under_an_id_not_greater_than_the_folded_one_is_news() -> None:
    known = running()
    tasks = knowing(known)
    tasks.hear(known.id, Cursor(2, 2), progress(5))
    told(tasks)
    position = Position(Cursor(2, 2), TaskStatus.SUCCEEDED)
    assert tasks.is_news(known.id, position)
    assert not tasks.is_news(known.id, Position(Cursor(2, 2), RUNNING))
    tasks.take(known.model_copy(update={"status": TaskStatus.SUCCEEDED, "n": 2}))
    assert [change.task.status for change in told(tasks)] == [TaskStatus.SUCCEEDED]


def test_the_tables_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board_tasks, "DOCUMENTS_LIMIT", 5)
    monkeypatch.setattr(board_tasks, "TOLD_LIMIT", 7)
    monkeypatch.setattr(board_tasks, "STALE_LIMIT", 3)
    tasks = BoardTasks()
    many = [running() for _ in range(20)]
    for known in many:
        tasks.take(known)
        told(tasks)
        tasks.hear(known.id, Cursor(2, 9), state(RUNNING))
    assert (len(tasks._rows), len(tasks._told), len(tasks._stale)) == (3, 7, 3)
    for known in many[3:]:
        assert tasks.is_news(known.id, Position(Cursor(2, 9), RUNNING)), "left out, but the next look finds it"


def test_the_statuses_since_a_place_or_a_moment() -> None:
    def entry(epoch: int, n: int, second: int, status: TaskStatus) -> TimelineEntry:
        return TimelineEntry(epoch=epoch, n=n, at=START + timedelta(seconds=second), attempt=0, status=status)

    known = task(
        timeline=[
            entry(1, 1, 0, TaskStatus.PENDING),
            entry(1, 2, 10, TaskStatus.QUEUED),
            entry(2, 1, 20, RUNNING),
            entry(2, 9, 30, TaskStatus.SUCCEEDED),
        ]
    )
    before = Position(Cursor(2, 5), RUNNING)
    assert list(statuses_since(known, before, START)) == [RUNNING, TaskStatus.SUCCEEDED]
    moment = START + timedelta(seconds=15)
    assert list(statuses_since(known, None, moment)) == [TaskStatus.SUCCEEDED, RUNNING, TaskStatus.QUEUED]
