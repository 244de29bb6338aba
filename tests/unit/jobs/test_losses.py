"""What becomes of a task whose worker is gone, by how often that has happened."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from core.documents import Task
from core.states import TaskStatus
from core.transition import Transition
from jobs.losses import CRASHES_ALLOWED, LOSSES_ALLOWED, judge


def judged(crashes: int, *, is_proven: bool = False, cancel_requested_at: datetime | None = None) -> Transition:
    fields: dict[str, Any] = {"status": TaskStatus.RUNNING, "epoch": 2, "cancel_reason": "enough"}
    task = Task.model_construct(id=UUID(int=1), crashes=crashes, cancel_requested_at=cancel_requested_at, **fields)
    return judge(task, by="bridge", lost="its worker stopped beating", is_proven=is_proven)


@pytest.mark.parametrize("crashes", [0, CRASHES_ALLOWED, LOSSES_ALLOWED - 1])
def test_loss_that_nobody_saw_is_no_proof(crashes: int) -> None:
    verdict = judged(crashes)
    assert verdict.status is TaskStatus.QUEUED
    assert verdict.changes["crashes"] == crashes + 1


def test_task_whose_losses_nobody_saw_is_given_up_in_the_end() -> None:
    verdict = judged(LOSSES_ALLOWED)
    assert verdict.status is TaskStatus.FAILED
    assert verdict.changes["error"]["code"] == "WORKER_LOST"
    assert f"{LOSSES_ALLOWED + 1} workers" in verdict.changes["error"]["message"]


def test_loss_that_was_seen_is_proof_at_once() -> None:
    assert judged(0, is_proven=True).status is TaskStatus.FAILED


@pytest.mark.parametrize("crashes", [0, LOSSES_ALLOWED])
def test_lost_task_that_was_to_be_cancelled_is_cancelled(crashes: int) -> None:
    verdict = judged(crashes, is_proven=True, cancel_requested_at=datetime.now(UTC))
    assert verdict.status is TaskStatus.CANCELLED
