"""Which changes share a write."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from pymongo import UpdateMany, UpdateOne

from core.clock import utc_now
from core.documents import TaskFailure, TimelineEntry
from core.events import Cursor
from core.states import TaskStatus
from core.transition import SHARED_BYTES, Transition, for_each, operations
from core.transitions import claimed, queued, seized, succeeded


def end(epoch: int = 2, **result: Any) -> Transition:
    return succeeded(uuid4(), Cursor(epoch, 2), by="test", result=result, told={})


def ids(operation: UpdateOne | UpdateMany) -> list[UUID]:
    wanted = operation._filter["_id"]
    return list(wanted["$in"]) if isinstance(operation, UpdateMany) else [wanted]


def test_changes_that_expect_the_same_share_one_write() -> None:
    ends = [end(value=number) for number in range(5)]
    [operation] = operations(ends)
    assert ids(operation) == [transition.task_id for transition in ends]


def test_changes_that_expect_something_else_do_not_share_it() -> None:
    now = utc_now()
    changes = [
        *(end(epoch) for epoch in (2, 2, 4)),
        *(queued(uuid4(), 2, by="test") for _ in range(2)),
        *(claimed(uuid4(), 2, worker="test", token="t", lease_until=now) for _ in range(2)),
        *(seized(uuid4(), 2, TaskStatus.CANCELLED, by="test", error=None) for _ in range(2)),
        *(seized(uuid4(), 2, TaskStatus.CANCELLED, by="test", error=None, lease_ended_by=now) for _ in range(2)),
    ]
    shared = operations(changes)
    assert sorted(len(ids(operation)) for operation in shared) == [1, 2, 2, 2, 4]
    assert sorted(task_id for operation in shared for task_id in ids(operation)) == sorted(
        change.task_id for change in changes
    )


def test_write_is_shared_only_up_to_its_size() -> None:
    ends = [end(text="x" * (SHARED_BYTES // 3)) for _ in range(5)] + [end(text="x" * SHARED_BYTES), end()]
    assert [len(ids(operation)) for operation in operations(ends)] == [2, 2, 1, 1, 1]


def test_change_that_is_made_for_each_of_several_tasks_is_one_write_an_epoch() -> None:
    tasks = [(uuid4(), epoch) for epoch in (1, 2, 1, 1, 2)]
    changes = for_each(tasks, lambda task_id, epoch: queued(task_id, epoch, by="test"))
    assert [(change.task_id, change.cursor) for change in changes] == [
        (task_id, Cursor(epoch, 2)) for task_id, epoch in tasks
    ]
    first, second = operations(changes)
    assert (ids(first), ids(second)) == (
        [task_id for task_id, epoch in tasks if epoch == 1],
        [task_id for task_id, epoch in tasks if epoch == 2],
    )
    assert first._doc == changes[0].update


@pytest.mark.parametrize("error", [None, TaskFailure(code="WORKER_LOST", message="It is gone.")])
@pytest.mark.parametrize("reason", [None, "its worker shuts down"])
def test_entry_holds_no_null_and_tells_the_event_of_its_change(reason: str | None, error: TaskFailure | None) -> None:
    change = seized(uuid4(), 2, TaskStatus.FAILED, by="test", error=error, reason=reason)
    assert None not in change.entry.values()
    event = change.event(attempt=3)
    assert event == TimelineEntry.model_validate({**change.entry, "attempt": 3}).event()
    told = (error.code, error.message) if error else (None, None)
    assert (event.reason, event.error_code, event.error_message) == (reason, *told)
