"""The options of a submit, from the mutation to what a real bridge and worker make of them."""

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

from core.clock import utc_now
from core.documents import Task
from core.states import TERMINAL, TaskStatus
from tests.integration.gateway_schema.asking import Gateway
from tests.integration.jobs.conftest import Launch, until

SUBMIT = """
mutation ($kind: String!, $input: JSON!, $options: TaskOptions) {
  submitTask(kind: $kind, input: $input, options: $options) { id }
}
"""
QUICK = {"failures": 0}
TOLERANCE = timedelta(seconds=1)


async def submit(gateway: Gateway, kind: str, value: Mapping[str, object], **options: object) -> UUID:
    """Submit by the mutation; return the task's id."""
    return UUID((await gateway.get(SUBMIT, kind=kind, input=value, options=options))["submitTask"]["id"])


async def until_ready(gateway: Gateway) -> None:
    """Return once bridge and worker are up: a first task has run."""
    await until(await submit(gateway, "flaky", QUICK), TaskStatus.SUCCEEDED, within_s=60)


async def test_delayed_and_timed_tasks_start_when_they_are_to(gateway: Gateway, launch: Launch) -> None:
    launch("bridge")
    launch("worker")
    await until_ready(gateway)
    tasks: list[UUID] = []
    for number in range(4):
        tasks.append(await submit(gateway, "flaky", QUICK, delayS=3 + 0.7 * number))
        moment = utc_now() + timedelta(seconds=3.3 + 0.7 * number)
        tasks.append(await submit(gateway, "flaky", QUICK, runAt=moment.isoformat()))
    for task_id in tasks:
        ended = await until(task_id, *TERMINAL)
        assert ended.status is TaskStatus.SUCCEEDED
        assert ended.started_at is not None
        assert ended.run_at is not None
        assert timedelta(0) <= ended.started_at - ended.run_at <= TOLERANCE


async def test_deadline_timeout_and_attempts_bound_a_task(gateway: Gateway, launch: Launch) -> None:
    launch("bridge")
    worker = launch("worker", HEADWAY_WORKER_SLOTS="2")
    await until_ready(gateway)
    long = {"steps": 600, "pauseS": 0.1}
    slow = [await submit(gateway, "steps", long, timeoutS=4, maxAttempts=1) for _ in range(2)]
    for task_id in slow:  # They fill the worker, so the next one can't start before its deadline.
        await until(task_id, TaskStatus.RUNNING)
    deadline = utc_now() + timedelta(seconds=1.5)
    late = await submit(gateway, "flaky", QUICK, deadline=deadline.isoformat())
    flaky = await submit(gateway, "flaky", {"failures": 9}, maxAttempts=2)

    expired = await until(late, *TERMINAL)
    assert (expired.status, expired.attempt, expired.started_at) == (TaskStatus.EXPIRED, 0, None)
    assert expired.finished_at is not None
    assert deadline <= expired.finished_at <= deadline + timedelta(seconds=3)
    for task_id in slow:
        ended = await until(task_id, *TERMINAL)
        assert ended.error is not None
        assert ended.started_at is not None
        assert ended.finished_at is not None
        assert (ended.status, ended.error.code, ended.attempt) == (TaskStatus.FAILED, "TIMEOUT", 1)
        assert abs(ended.finished_at - ended.started_at - timedelta(seconds=4)) <= TOLERANCE
    failed = await until(flaky, *TERMINAL)
    assert (failed.status, failed.attempt, failed.failures) == (TaskStatus.FAILED, 2, 2)
    assert worker.poll() is None


async def test_repeated_key_answers_with_the_task_that_ran(gateway: Gateway, launch: Launch) -> None:
    launch("bridge")
    launch("worker")
    first = await submit(gateway, "flaky", QUICK, idempotencyKey="once")
    await until(first, TaskStatus.SUCCEEDED, within_s=60)
    assert await submit(gateway, "flaky", QUICK, idempotencyKey="once") == first
    assert await Task.count() == 1
