"""Who is blamed when workers die: only the task that kills them, whoever its neighbours are."""

import asyncio
import os
import secrets
import signal

import pytest
from arq.constants import in_progress_key_prefix, job_key_prefix
from redis.asyncio import Redis

from core.documents import Task
from core.messages import TaskMessage
from core.settings import Settings
from core.states import TaskStatus
from jobs.losses import CRASHES_ALLOWED
from jobs.queue import RunQueues
from tests.integration.jobs.conftest import Launch, Submit, ask_to_cancel, until, until_true
from tests.running_stack import descendants

KINDS = {"HEADWAY_KIND_MODULES": "tests.fault_kinds"}
ENDED = (TaskStatus.SUCCEEDED, TaskStatus.FAILED, TaskStatus.CANCELLED)


@pytest.fixture(autouse=True)
def bridge(launch: Launch) -> None:
    """A bridge runs in every test."""
    launch("bridge")


async def until_ended(mark: str) -> None:
    """Return once no process with this mark is left."""
    async with asyncio.timeout(10):
        while True:
            if not descendants(mark):
                return
            await asyncio.sleep(0.05)


async def keys_of(redis: Redis, task: Task) -> list[bytes]:
    """Return what arq keeps of any ticket of a task."""
    prefixes = (job_key_prefix, in_progress_key_prefix)
    return [key for prefix in prefixes async for key in redis.scan_iter(f"{prefix}{task.id}:*", count=10_000)]


@pytest.mark.timeout(240)  # Two leases have to run out, and every suspect's process has to start.
async def test_only_the_tasks_that_kill_workers_are_blamed(
    launch: Launch, submit: Submit, redis: Redis, settings: Settings
) -> None:
    mark = secrets.token_hex(8)
    innocent = [await submit("steps", {"steps": 10, "pause_s": 0.1}) for _ in range(2)]
    killers = [await submit("deadly", {}) for _ in range(2)]
    innocent.append(await submit("spin", {"steps": 10, "pause_s": 0.1}))
    for task in (*innocent, *killers):  # They wait together, so one worker takes them all.
        await until(task.id, TaskStatus.QUEUED)
    for _ in range(CRASHES_ALLOWED):
        worker = launch("worker", **KINDS, HEADWAY_WORKER_SLOTS="6", HEADWAY_TEST_MARK=mark)
        assert await asyncio.to_thread(worker.wait, 40) == -signal.SIGKILL
    last = launch("worker", **KINDS, HEADWAY_WORKER_SLOTS="6", HEADWAY_TEST_MARK=mark)

    for task in killers:
        ended = await until(task.id, *ENDED, within_s=60)
        assert ended.error is not None
        assert (ended.status, ended.error.code, ended.attempt) == (TaskStatus.FAILED, "WORKER_LOST", 3)
    for task in innocent:
        ended = await until(task.id, *ENDED, within_s=60)
        assert (ended.status, ended.crashes, ended.lease) == (TaskStatus.SUCCEEDED, CRASHES_ALLOWED, None)
    assert last.poll() is None
    last.terminate()
    assert await asyncio.to_thread(last.wait, 15) == 0
    await until_ended(mark)
    assert not await redis.exists(RunQueues(redis, settings.namespace).suspects.name)
    assert not [key for task in (*innocent, *killers) for key in await keys_of(redis, task)]


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
async def test_suspect_is_handed_back_unblamed_when_its_worker_ends(
    launch: Launch, submit: Submit, redis: Redis, settings: Settings, end: signal.Signals
) -> None:
    mark = secrets.token_hex(8)
    task = await submit("steps", {"steps": 40, "pause_s": 0.1}, publish=False, status=TaskStatus.QUEUED, crashes=2)
    suspects = RunQueues(redis, settings.namespace).suspects
    await suspects.put([TaskMessage(task.id, task.epoch).ticket])
    worker = launch("worker", **KINDS, HEADWAY_DRAIN_S="0.3", HEADWAY_TEST_MARK=mark)
    running = await until_true(task.id, lambda stored: stored.checkpoint)
    assert running.lease is not None
    assert "/" in running.lease.worker  # Its own process, not the worker's.

    os.kill(worker.pid, end)
    assert await asyncio.to_thread(worker.wait, 15) == (0 if end is signal.SIGTERM else -end)
    back = await until(task.id, TaskStatus.QUEUED)
    assert (back.crashes, back.failures, back.timeline[-1].by) == (2, 0, running.lease.worker)
    await until_ended(mark)
    launch("worker", **KINDS)
    ended = await until(task.id, *ENDED)
    assert (ended.status, ended.crashes, ended.attempt) == (TaskStatus.SUCCEEDED, 2, 2)


async def launch_suspect(submit: Submit, redis: Redis, settings: Settings, kind: str, **fields: object) -> Task:
    """Store a suspect of a kind that takes long, and put it where workers take suspects from."""
    given = {"publish": False, "status": TaskStatus.QUEUED, "crashes": CRASHES_ALLOWED, **fields}
    task = await submit(kind, {"steps": 600, "pause_s": 0.1}, **given)
    await RunQueues(redis, settings.namespace).suspects.put([TaskMessage(task.id, task.epoch).ticket])
    return task


async def test_suspect_that_does_not_yield_is_handed_back_before_its_process_is_killed(
    launch: Launch, submit: Submit, redis: Redis, settings: Settings
) -> None:
    task = await launch_suspect(submit, redis, settings, "stubborn")
    worker = launch("worker", **KINDS, HEADWAY_DRAIN_S="0.1")
    await until(task.id, TaskStatus.RUNNING, within_s=60)
    worker.terminate()
    assert await asyncio.to_thread(worker.wait, 20) == 0
    back = await until(task.id, TaskStatus.QUEUED)
    assert (back.crashes, back.failures, back.timeline[-1].reason) == (CRASHES_ALLOWED, 0, "its worker shuts down")


async def test_suspect_that_runs_alone_is_cancelled(
    launch: Launch, submit: Submit, redis: Redis, settings: Settings
) -> None:
    task = await launch_suspect(submit, redis, settings, "steps")
    worker = launch("worker", **KINDS)
    running = await until(task.id, TaskStatus.RUNNING, within_s=60)
    assert running.lease is not None
    assert "/" in running.lease.worker
    await ask_to_cancel(redis, settings, task.id)
    ended = await until(task.id, *ENDED)
    assert (ended.status, ended.cancel_reason, ended.crashes) == (TaskStatus.CANCELLED, "no longer needed", 2)
    assert [entry.status for entry in ended.timeline[-2:]] == [TaskStatus.CANCELLING, TaskStatus.CANCELLED]
    assert {entry.by for entry in ended.timeline[-2:]} == {running.lease.worker}
    assert worker.poll() is None


async def test_suspect_that_redis_forgot_is_put_back_to_run_alone(launch: Launch, submit: Submit) -> None:
    task = await submit("steps", {"steps": 1}, publish=False, status=TaskStatus.QUEUED, crashes=CRASHES_ALLOWED)
    launch("worker", **KINDS)
    ended = await until(task.id, *ENDED)
    assert ended.status is TaskStatus.SUCCEEDED
    assert "/" in ended.timeline[-1].by
