"""What a batch's roll-up makes of the numbers that the database counted."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.documents import Batch
from core.states import TaskStatus
from gateway.batches import RollUp

START = datetime(2026, 1, 1, tzinfo=UTC)
RUNNING, SUCCEEDED, QUEUED = TaskStatus.RUNNING, TaskStatus.SUCCEEDED, TaskStatus.QUEUED


def seen(total: int, numbers: dict[TaskStatus, int], done: float, *, after_s: float = 10, **fields: Any) -> RollUp:
    """Return a roll-up of a batch submitted `after_s` ago."""
    batch = Batch.model_construct(id=None, owner="local", total=total, created_at=START)
    given = {"recent": 0, "started_at": START, "ended_at": None, **fields}
    return RollUp(batch=batch, numbers=numbers, done=done, at=START + timedelta(seconds=after_s), **given)


def test_percent_is_the_mean_of_the_fractions() -> None:
    assert seen(4, {SUCCEEDED: 1, RUNNING: 2, QUEUED: 1}, 1 + 0.5 + 0.25).percent == pytest.approx(43.75)


def test_rate_is_that_of_the_last_30_seconds() -> None:
    assert seen(100, {SUCCEEDED: 60, QUEUED: 40}, 60, after_s=300, recent=15).rate_per_s == pytest.approx(0.5)
    assert seen(100, {SUCCEEDED: 20, QUEUED: 80}, 20, after_s=10, recent=20).rate_per_s == pytest.approx(2)


def test_eta_is_what_is_left_at_the_rate() -> None:
    batch = seen(100, {SUCCEEDED: 60, RUNNING: 2, QUEUED: 38}, 61, after_s=300, recent=15)
    assert batch.eta_s == pytest.approx(39 / 0.5)


def test_eta_of_long_tasks_is_known_before_the_first_ends() -> None:
    assert seen(2, {RUNNING: 2}, 0.5, after_s=30).eta_s == pytest.approx(1.5 / (0.5 / 30))


def test_eta_is_unknown_while_nothing_moves() -> None:
    assert seen(2, {QUEUED: 2}, 0, started_at=None).eta_s is None
    assert seen(2, {RUNNING: 2}, 0).eta_s is None
    assert seen(3, {SUCCEEDED: 1, QUEUED: 2}, 1, after_s=600).eta_s is None


def test_finished_batch_tells_when_and_how_fast() -> None:
    batch = seen(8, {SUCCEEDED: 6, TaskStatus.FAILED: 2}, 8, after_s=900, ended_at=START + timedelta(seconds=4))
    assert batch.is_finished
    assert batch.finished_at == START + timedelta(seconds=4)
    assert (batch.percent, batch.rate_per_s, batch.eta_s) == (100, 2, 0)


def test_last_end_so_far_is_not_the_batch_s_end() -> None:
    batch = seen(2, {SUCCEEDED: 1, RUNNING: 1}, 1, ended_at=START)
    assert not batch.is_finished
    assert batch.finished_at is None


def test_removed_tasks_count_as_ended() -> None:
    batch = seen(10, {SUCCEEDED: 1, QUEUED: 1}, 1)
    assert (batch.removed, batch.ended, round(batch.percent)) == (8, 9, 90)
    assert seen(10, {}, 0).is_finished
