"""What is told of a task's events when some of them are gone."""

from collections.abc import Mapping
from datetime import timedelta

import pytest

from core.clock import utc_now
from core.documents import Task, TaskProgress, TimelineEntry
from core.events import Cursor, Event, Progressed
from core.states import Delivery, TaskStatus
from gateway.relay.history import BEFORE_ALL, ON_THE_WAY, RECENT_LIMIT, Entry, Gap, Recent, Sources, Told
from tests.unit.relay.tasks import START, progress, state, task

Cut = tuple[int, int]
PENDING, QUEUED, RUNNING, CANCELLING, SUCCEEDED = (
    TaskStatus.PENDING,
    TaskStatus.QUEUED,
    TaskStatus.RUNNING,
    TaskStatus.CANCELLING,
    TaskStatus.SUCCEEDED,
)
LIFE = {(1, 1): PENDING, (1, 2): QUEUED, (2, 1): RUNNING}


def document(states: dict[Cut, TaskStatus], *, second: int = 0, **fields: object) -> Task:
    """Return a task with this timeline, all of it at one second, that stands at its last state."""
    timeline = [
        TimelineEntry(epoch=epoch, n=n, at=START + timedelta(seconds=second), attempt=1, status=status)
        for (epoch, n), status in states.items()
    ]
    last = timeline[-1]
    return task(**{"timeline": timeline, "epoch": last.epoch, "n": last.n, "status": last.status, **fields})


def told(
    stored: Task | None,
    streamed: Mapping[Cut, Event] | None,
    *,
    after: Cut = (0, 0),
    waited_for: Cursor = BEFORE_ALL,
    read_s: float = 3600,
) -> tuple[list[Cut | str], Cursor | None]:
    """Return in short what a follower is told, and what waits; the sources were read so long after START."""
    events = None if streamed is None else [(Cursor(*cut), event) for cut, event in sorted(streamed.items())]
    sources = Sources(stored, events, START + timedelta(seconds=read_s))
    entries, waiting = sources.after(Cursor(*after), waited_for)
    return [short(entry) for entry in entries], waiting


def short(entry: Entry) -> Cut | str:
    cursor, event = entry
    return f"{event.after}…{event.before}" if isinstance(event, Gap) else (cursor.epoch, cursor.n)


def moved(*numbers: int, epoch: int = 2) -> dict[Cut, Event]:
    return {(epoch, n): progress(n) for n in numbers}


def test_states_alone_have_gaps_only_where_numbers_are_missing_or_a_worker_lost_the_task() -> None:
    life = {**LIFE, (2, 5): CANCELLING, (2, 6): SUCCEEDED}
    assert told(document(life), {}) == ([(1, 1), (1, 2), (2, 1), "2-1…2-5", (2, 5), (2, 6)], None)
    taken_over = {**LIFE, (3, 1): QUEUED, (4, 1): RUNNING, (4, 2): SUCCEEDED}
    assert told(document(taken_over), {}) == ([(1, 1), (1, 2), (2, 1), "2-1…3-1", (3, 1), (4, 1), (4, 2)], None)


def test_a_stream_that_knows_the_last_event_vouches_for_what_follows_it() -> None:
    stored = document({**LIFE, (3, 1): QUEUED})
    assert told(stored, moved(2, 3), after=(2, 3)) == ([(3, 1)], None)
    assert told(stored, moved(2, 3), after=(2, 4)) == (["2-4…3-1", (3, 1)], None)
    assert told(stored, None, after=(2, 3)) == (["2-3…3-1", (3, 1)], None)


def test_the_gap_lies_between_its_neighbours_and_going_on_from_it_gives_no_second_one() -> None:
    stored = document({**LIFE, (2, 9): SUCCEEDED})
    sources = Sources(stored, None, START)
    (cursor, gap), _ = sources.after(Cursor(2, 3), BEFORE_ALL)[0]
    assert isinstance(gap, Gap)
    assert (gap.after, cursor, gap.before) == (Cursor(2, 3), Cursor(2, 8), Cursor(2, 9))
    assert told(stored, None, after=(2, 8)) == ([(2, 9)], None)
    opening = Sources(document({**LIFE, (3, 1): QUEUED}), None, START).after(Cursor(2, 3), BEFORE_ALL)[0]
    assert [entry[0] for entry in opening] == [Cursor(3, 0), Cursor(3, 1)]


@pytest.mark.parametrize("newest", [(2, 7), (3, 1)])
def test_what_is_newer_than_the_stream_waits_for_those_before_it(newest: Cut) -> None:
    stored = document({**LIFE, newest: QUEUED}, second=3600)
    assert told(stored, moved(2), after=(2, 1)) == ([(2, 2)], Cursor(*newest))
    later = 3600 + 2 * ON_THE_WAY.total_seconds()
    assert told(stored, moved(2), after=(2, 1), read_s=later)[1] is None
    waited = told(stored, moved(2), after=(2, 1), waited_for=Cursor(*newest))
    assert waited == (([(2, 2), (3, 1)] if newest == (3, 1) else [(2, 2), "2-2…2-7", (2, 7)]), None)


def test_having_waited_for_one_event_says_nothing_of_a_later_one() -> None:
    stored = document({**LIFE, (3, 1): QUEUED}, second=3600)
    assert told(stored, moved(2, 3), after=(2, 1), waited_for=Cursor(2, 9)) == ([(2, 2), (2, 3)], Cursor(3, 1))


def test_a_hole_inside_the_stream_is_a_gap_at_once() -> None:
    assert told(document(LIFE), moved(2, 5), after=(2, 1), read_s=0) == ([(2, 2), "2-2…2-5", (2, 5)], None)


def test_without_the_document_only_what_directly_follows_is_told() -> None:
    streamed = {**moved(2, 3, 5), (3, 1): state(QUEUED)}
    assert told(None, streamed, after=(2, 1)) == ([(2, 2), (2, 3)], Cursor(2, 5))
    assert told(None, {(2, 3): progress(3), (3, 1): state(QUEUED)}, after=(2, 3)) == ([], Cursor(3, 1))


def test_a_state_that_nobody_told_is_rebuilt_under_its_own_id() -> None:
    stored = document({**LIFE, (2, 3): CANCELLING})
    sources = Sources(stored, [(Cursor(2, 2), progress(2)), (Cursor(2, 4), progress(4))], START)
    entries, _ = sources.after(Cursor(2, 1), BEFORE_ALL)
    assert entries[1] == (Cursor(2, 3), stored.timeline[-1].event())
    assert [short(entry) for entry in entries] == [(2, 2), (2, 3), (2, 4)]


def test_stored_progress_is_rebuilt_under_the_id_it_was_stored_with() -> None:
    at = START + timedelta(seconds=9)
    stored = document(LIFE, n=7, attempt=1, progress=TaskProgress(current=40, total=100), progress_at=at)
    sources = Sources(stored, None, START)
    (_, gap), rebuilt = sources.after(Cursor(2, 1), BEFORE_ALL)[0]
    assert isinstance(gap, Gap)
    assert rebuilt == (Cursor(2, 7), Progressed(at=at, attempt=1, current=40, total=100))


def test_what_a_worker_said_after_it_had_lost_the_task_is_left_out() -> None:
    stored = document({**LIFE, (3, 1): QUEUED}, second=5)
    zombie = {(2, 2): progress(2, second=4), (2, 3): progress(3, second=6)}
    assert told(stored, zombie, after=(2, 1)) == ([(2, 2), (3, 1)], None)
    assert told(document(LIFE, second=5), zombie, after=(2, 1)) == ([(2, 2), (2, 3)], None)


def test_a_timeline_that_lost_its_beginning_says_so() -> None:
    assert told(document({(9, 1): RUNNING, (9, 2): SUCCEEDED}), {}) == (["0-0…9-1", (9, 1), (9, 2)], None)
    assert told(document({(9, 1): RUNNING}), {}, after=(7, 2)) == (["7-2…9-1", (9, 1)], None)


def test_recent_events_are_bounded_and_who_is_further_back_has_to_read() -> None:
    recent = Recent(Cursor(2, 1))
    for n in range(2, 1002):
        recent.add(Told(Cursor(2, n), progress(n), Delivery.LIVE))
    kept = 1001 - RECENT_LIMIT
    assert recent.after(Cursor(2, kept - 1)) is None
    assert [later.cursor.n for later in recent.after(Cursor(2, kept)) or ()] == list(range(kept + 1, 1002))
    assert recent.after(Cursor(2, 1001)) == recent.after(Cursor(3, 5)) == []
    recent.restart(Cursor(3, 1))
    assert recent.after(Cursor(2, 1001)) is None
    assert recent.after(Cursor(3, 1)) == []


def test_a_gap_is_noticed_now() -> None:
    before = utc_now()
    (_, gap), _ = Sources(document({**LIFE, (2, 9): SUCCEEDED}), None, START).after(Cursor(2, 1), BEFORE_ALL)[0]
    assert before <= gap.at <= utc_now()
