"""The verdict on what is stored notices each promise that is broken."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest

from core.documents import Lease, Task, TimelineEntry
from core.states import TaskStatus
from tests.faults.load import CANCELLED, ENDED, Load, Sort
from tests.faults.verdict import Verdict, judge_tasks

AT = datetime(2026, 1, 1, tzinfo=UTC)
IDENT = UUID(int=1)
TIMELINE = (
    TimelineEntry(epoch=1, n=1, at=AT, attempt=0, status=TaskStatus.PENDING, by="gateway"),
    TimelineEntry(epoch=2, n=1, at=AT, attempt=1, status=TaskStatus.RUNNING, by="worker-1"),
    TimelineEntry(epoch=4, n=1, at=AT, attempt=2, status=TaskStatus.RUNNING, by="worker-2"),
    TimelineEntry(epoch=4, n=4, at=AT, attempt=2, status=TaskStatus.SUCCEEDED, by="worker-2"),
)


def stored(**changes: Any) -> Task:
    """Return a task that ended as it should, on its second attempt, but for the changes."""
    kept: dict[str, Any] = {"status": TaskStatus.SUCCEEDED, "result": {"attempts": 2}, "timeline": list(TIMELINE)}
    task: Task = Task.model_construct(**{"id": IDENT, **kept, **changes})
    return task


def ended_by(**changes: object) -> list[TimelineEntry]:
    """Return the timeline with another last entry."""
    return [*TIMELINE[:-1], TIMELINE[-1].model_copy(update=changes)]


def judged(*tasks: Task, ends: frozenset[TaskStatus] = ENDED) -> Verdict:
    """Return the verdict on what is stored after one submit."""
    load = cast("Load", SimpleNamespace(sorts={IDENT: Sort("short", 0, "tell", {}, ends)}))
    verdict = Verdict()
    judge_tasks(verdict, load, tasks)
    return verdict


def test_kept_promises_are_not_complained_of() -> None:
    assert judged(stored()) == Verdict()


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"timeline": [*TIMELINE, TIMELINE[-1].model_copy(update={"n": 5})]}, "has 2 ends"),
        ({"timeline": ended_by(epoch=3)}, "was ended by another attempt than its last"),
        ({"timeline": ended_by(by="worker-1")}, "was ended by another attempt than its last"),
        ({"timeline": ended_by(n=1)}, "has a timeline out of order"),
        ({"status": TaskStatus.FAILED}, "ended FAILED"),
        ({"result": {"attempts": 1}}, "has the result {'attempts': 1} of attempt 2"),
        ({"result": None}, "has the result None of attempt 2"),
        ({"lease": Lease(worker="worker-2", until=AT)}, "has ended and is still leased"),
        ({"claim": "worker-2"}, "has ended and is still leased"),
        ({"status": TaskStatus.RUNNING}, "is still RUNNING"),
    ],
)
def test_broken_promise_is_complained_of(changes: dict[str, Any], complaint: str) -> None:
    verdict = judged(stored(**changes))

    assert any(complaint in what for what in verdict.broken), verdict.broken


def test_what_has_not_ended_or_is_not_stored_is_lost() -> None:
    assert judged(stored(status=TaskStatus.RUNNING)).lost == 1
    assert judged().lost == 1


def test_second_task_of_one_submit_is_a_duplicate() -> None:
    verdict = judged(stored(), stored(id=UUID(int=2), idempotency_key="key"))

    assert verdict.duplicated == len(verdict.broken) == 1


def test_time_to_a_cancel_runs_from_the_wish_to_the_event() -> None:
    entries = [
        *TIMELINE[:-1],
        TimelineEntry(epoch=4, n=4, at=AT, attempt=2, status=TaskStatus.CANCELLING),
        TimelineEntry(epoch=4, n=5, at=AT, attempt=2, status=TaskStatus.CANCELLED),
    ]
    wished_at = AT - timedelta(seconds=1.5)
    task = stored(status=TaskStatus.CANCELLED, timeline=entries, cancel_requested_at=wished_at)

    verdict = judged(task, ends=CANCELLED)

    assert (verdict.broken, verdict.cancel_s) == ([], [1.5])
