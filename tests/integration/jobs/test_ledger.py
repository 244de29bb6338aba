"""What one batch of transitions does when MongoDB refuses one of them."""

import asyncio
from typing import Any

from pymongo.errors import BulkWriteError

from core.connections import MongoClient
from core.documents import Task
from core.events import Cursor
from core.states import TaskStatus
from core.transitions import succeeded
from jobs.ledger import Ledger, is_too_large
from tests.integration.jobs.conftest import Launch, Submit, until


async def test_write_that_is_refused_stops_no_other_of_its_batch(mongo: MongoClient) -> None:
    fields: dict[str, Any] = {
        "kind": "k",
        "status": TaskStatus.RUNNING,
        "max_attempts": 3,
        "timeout_s": 60.0,
        "epoch": 2,
    }
    large = await Task(input={"text": "x" * 9_000_000}, **fields).insert()
    small = await Task(input={}, **fields).insert()
    result = {"text": "y" * 8_000_000}  # Together more than the 16 MB that a document may have.
    ends = [
        succeeded(task.id, Cursor(2, 2), by="test", result=given, told={})
        for task, given in ((large, result), (small, {}))
    ]
    ledger = Ledger("test")
    refused, event = await asyncio.gather(*map(ledger.commit, ends), return_exceptions=True)
    assert isinstance(refused, BulkWriteError)
    assert event is not None
    assert not isinstance(event, BaseException)
    assert event.cursor == Cursor(2, 2)
    assert is_too_large(refused)
    assert await ledger.commit_all(ends) == [None, event]
    await ledger.aclose()
    stored = await Task.get(small.id)
    assert stored is not None
    assert stored.status is TaskStatus.SUCCEEDED


async def test_end_that_mongodb_can_not_hold_fails_its_task_and_no_other(launch: Launch, submit: Submit) -> None:
    launch("bridge")
    launch("worker", HEADWAY_KIND_MODULES="tests.fault_kinds")
    large = await submit("bulky", {"text": "x" * 9_000_000})
    small = await submit("bulky", {})
    failed = await until(large.id, TaskStatus.FAILED, TaskStatus.SUCCEEDED)
    assert failed.error is not None
    assert (failed.status, failed.error.code, failed.attempt) == (TaskStatus.FAILED, "BAD_RESULT", 1)
    assert (await until(small.id, TaskStatus.FAILED, TaskStatus.SUCCEEDED)).status is TaskStatus.SUCCEEDED
