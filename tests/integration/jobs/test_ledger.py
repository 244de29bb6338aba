"""What one batch of transitions does when MongoDB refuses one of them."""

import asyncio
from typing import Any

import pytest
from pymongo.errors import BulkWriteError

from core.connections import MongoClient
from core.documents import Task
from core.events import Cursor
from core.states import TaskStatus
from core.transitions import succeeded
from jobs.ledger import Ledger


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
    with pytest.raises(BulkWriteError):
        await ledger.commit_all(ends)
    await ledger.aclose()
    stored = await Task.get(small.id)
    assert stored is not None
    assert stored.status is TaskStatus.SUCCEEDED
