"""Cancelling tasks that a real worker runs, has given back, or can't give up."""

import asyncio
import signal

import pytest

from core.clock import utc_now
from core.documents import Task
from core.states import TERMINAL, TaskStatus
from tests.integration.control.conftest import CANCEL, Store, claim, stored
from tests.integration.gateway_schema.asking import Gateway
from tests.integration.jobs.conftest import Launch, until

SUBMIT = """
mutation ($kind: String!, $input: JSON!, $options: TaskOptions) {
  submitTask(kind: $kind, input: $input, options: $options) { id }
}
"""
LONG = {"steps": 600, "pauseS": 0.1}


async def submit(gateway: Gateway, kind: str = "steps", **options: object) -> Task:
    """Submit a task of a kind that takes long; return it once it runs."""
    answer = await gateway.get(SUBMIT, kind=kind, input=LONG, options=options)
    (task,) = [task async for task in Task.find({"_id": {"$exists": True}}).sort("-_id").limit(1)]
    assert str(task.id) == answer["submitTask"]["id"]
    return await until(task.id, TaskStatus.RUNNING, within_s=60)


async def cancel(gateway: Gateway, task: Task, reason: str = "enough") -> str:
    """Cancel by the mutation; return the status in its answer."""
    answer = await gateway.get(CANCEL, id=str(task.id), reason=reason)
    return str(answer["cancelTask"]["status"])


@pytest.mark.parametrize("kind", ["steps", "spin"])
async def test_running_task_is_announced_cancelling_then_cancelled(gateway: Gateway, launch: Launch, kind: str) -> None:
    launch("bridge")
    launch("worker")
    task = await submit(gateway, kind)
    assert await cancel(gateway, task) == "RUNNING"
    ended = await until(task.id, *TERMINAL)
    assert (ended.status, ended.cancel_reason, ended.error) == (TaskStatus.CANCELLED, "enough", None)
    assert [entry.status for entry in ended.timeline[-2:]] == [TaskStatus.CANCELLING, TaskStatus.CANCELLED]
    assert [entry.reason for entry in ended.timeline[-2:]] == ["enough", "enough"]
    assert await cancel(gateway, task, "again") == "CANCELLED"
    assert (await stored(task)).cancel_reason == "enough"


async def test_task_that_blocks_its_worker_is_forced_without_waiting_for_its_timeout(
    gateway: Gateway, launch: Launch
) -> None:
    launch("bridge")
    worker = launch("worker")
    task = await submit(gateway, "blocking", timeoutS=600)
    await cancel(gateway, task)
    ended = await until(task.id, *TERMINAL, within_s=40)
    assert ended.error is not None
    assert (ended.status, ended.error.code, ended.cancel_reason) == (TaskStatus.CANCELLED, "FORCED", "enough")
    assert await asyncio.to_thread(worker.wait, 20) == 70


async def test_task_of_a_dead_worker_is_cancelled_by_the_reconciler(gateway: Gateway, launch: Launch) -> None:
    launch("bridge")
    worker = launch("worker")
    task = await submit(gateway)
    worker.send_signal(signal.SIGKILL)
    await asyncio.to_thread(worker.wait, 10)
    assert await cancel(gateway, task) == "RUNNING"
    ended = await until(task.id, *TERMINAL, within_s=40)
    assert (ended.status, ended.timeline[-1].reason, ended.crashes) == (TaskStatus.CANCELLED, "enough", 0)


@pytest.mark.parametrize("status", [TaskStatus.QUEUED, TaskStatus.RETRYING])
async def test_asked_task_that_its_holder_gave_back_is_cancelled_by_the_reconciler(
    store: Store, launch: Launch, status: TaskStatus
) -> None:
    task = await store(status, cancel_requested_at=utc_now(), cancel_reason="enough")
    launch("bridge")
    ended = await until(task.id, *TERMINAL)
    assert (ended.status, ended.timeline[-1].reason) == (TaskStatus.CANCELLED, "enough")


async def test_intent_is_found_by_the_beat_when_no_hint_comes(gateway: Gateway, launch: Launch) -> None:
    launch("bridge")
    launch("worker")
    task = await submit(gateway)
    await Task.find_one({"_id": task.id}).update_one(
        {"$set": {"cancel_requested_at": utc_now(), "cancel_reason": "enough"}}
    )
    ended = await until(task.id, *TERMINAL)
    assert ended.status is TaskStatus.CANCELLED


async def test_lease_without_a_worker_ends_cancelled_when_asked(gateway: Gateway, store: Store, launch: Launch) -> None:
    task = await store()
    assert await claim(task)
    assert await cancel(gateway, task) == "RUNNING"
    launch("bridge")
    ended = await until(task.id, *TERMINAL, within_s=40)
    assert (ended.status, ended.epoch) == (TaskStatus.CANCELLED, 3)
