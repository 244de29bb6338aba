"""A real replica asked without a transport, with the kinds that misbehave installed; bridge and worker on demand."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from core.clock import utc_now
from core.connections import MongoClient
from core.documents import Task, TimelineEntry
from core.settings import Settings
from core.states import TERMINAL, TaskStatus
from core.transitions import claimed
from gateway import cancel
from gateway.opening import open_replica
from tests.integration.gateway_schema.asking import Gateway
from tests.integration.jobs import conftest as jobs

launch = jobs.launch
Store = Callable[..., Awaitable[Task]]
CANCEL = """
mutation ($id: ID!, $reason: String) {
  cancelTask(id: $id, reason: $reason) {
    id status cancelReason cursor timeline { status by reason } error { code }
  }
}
"""
RETRY = """
mutation ($id: ID!) {
  retryTask(id: $id) { __typename id kind status retryOf priority timeoutS maxAttempts deadline inputJson batchId }
}
"""


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a cancel wait for Redis as long as a busy machine takes."""
    monkeypatch.setattr(cancel, "TELL_WAIT_S", 10.0)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The usual ones, with the kinds of `tests.fault_kinds`."""
    return settings.model_copy(update={"kind_modules": "tests.fault_kinds"})


@pytest.fixture
async def gateway(settings: Settings, mongo: MongoClient) -> AsyncIterator[Gateway]:
    """A replica on the real services."""
    async with open_replica(settings) as replica:
        yield Gateway(replica.schema, replica.services)


@pytest.fixture
def store(gateway: Gateway) -> Store:
    """Store a task with a status, as if it had come there, and publish nothing."""

    async def put(status: TaskStatus = TaskStatus.PENDING, **fields: Any) -> Task:
        given = {"kind": "steps", "input": {"steps": 3, "pause_s": 0.1}, "max_attempts": 3, "timeout_s": 60.0, **fields}
        task = Task(status=status, **given)
        if status in TERMINAL:
            task.finished_at = utc_now()
        task.timeline.append(TimelineEntry(epoch=1, n=1, at=task.created_at, attempt=0, status=status, by="test"))
        await task.insert()
        return task

    return put


async def claim(task: Task, epoch: int = 1) -> bool:
    """Claim a task as a worker does; return whether that was won."""
    until = utc_now() + timedelta(seconds=10)
    change = claimed(task.id, epoch, worker="test", token=f"token {epoch}", lease_until=until)
    result = await Task.get_pymongo_collection().update_one(change.filter, change.update)
    return result.modified_count == 1


async def stored(task: Task) -> Task:
    """Return the task as it is stored now."""
    found = await Task.get(task.id)
    assert found is not None
    return found
