"""What a worker survives, and what it does with tasks that fail, hang, block or kill."""

import asyncio
import os
import signal
import time
from datetime import timedelta

import pytest
from redis.asyncio import Redis

from core.clock import utc_now
from core.events import Cursor, Progressed
from core.settings import Settings
from core.states import TaskStatus
from core.streams import EventStreams
from tests.integration.jobs.conftest import Launch, Submit, ask_to_cancel, until, until_true

KINDS = {"HEADWAY_KIND_MODULES": "tests.fault_kinds"}
ENDED = (TaskStatus.SUCCEEDED, TaskStatus.FAILED, TaskStatus.CANCELLED)


@pytest.fixture(autouse=True)
def bridge(launch: Launch) -> None:
    """A bridge runs in every test."""
    launch("bridge")


async def test_killed_worker_s_task_is_taken_over_from_its_checkpoint(launch: Launch, submit: Submit) -> None:
    first = launch("worker", **KINDS)
    task = await submit("steps", {"steps": 30, "pause_s": 0.2})
    await until(task.id, TaskStatus.RUNNING)
    await until_true(task.id, lambda stored: stored.checkpoint)
    launch("worker", **KINDS)
    first.kill()
    killed_at = time.monotonic()
    await until_true(task.id, lambda stored: stored.attempt == 2)
    assert time.monotonic() - killed_at < 15
    ended = await until(task.id, *ENDED)
    assert (ended.status, ended.crashes, ended.failures, ended.attempt) == (TaskStatus.SUCCEEDED, 1, 0, 2)
    assert ended.result is not None
    assert ended.result["first_step"] > 0


async def test_task_that_kills_its_process_is_counted_apart_from_failures(launch: Launch, submit: Submit) -> None:
    launch("worker", **KINDS)
    task = await submit("suicidal", {})
    ended = await until(task.id, *ENDED)
    assert ended.error is not None
    assert (ended.error.code, ended.crashes, ended.failures) == ("WORKER_LOST", 2, 0)


async def test_transient_errors_are_retried_and_a_permanent_one_is_not(launch: Launch, submit: Submit) -> None:
    launch("worker", **KINDS)
    flaky = await submit("flaky", {"failures": 2})
    hopeless = await submit("flaky", {"failures": 5, "permanent": True})
    broken = await submit("flaky", {"failures": 5}, max_attempts=1)

    ended = await until(flaky.id, *ENDED)
    assert (ended.status, ended.attempt, ended.failures) == (TaskStatus.SUCCEEDED, 3, 2)
    ended = await until(hopeless.id, *ENDED)
    assert ended.error is not None
    assert (ended.error.code, ended.error.message, ended.attempt) == ("HOPELESS", "this can't ever work", 1)
    ended = await until(broken.id, *ENDED)
    assert ended.error is not None
    assert ended.error.code == "KIND_ERROR"
    assert "secret" not in ended.error.message


async def test_sigterm_hands_back_what_cannot_drain_and_burns_no_try(launch: Launch, submit: Submit) -> None:
    first = launch("worker", **KINDS, HEADWAY_DRAIN_S="0.5")
    task = await submit("steps", {"steps": 40, "pause_s": 0.1})
    await until(task.id, TaskStatus.RUNNING)
    first.terminate()
    assert await asyncio.to_thread(first.wait, 15) == 0
    back = await until(task.id, TaskStatus.QUEUED)
    assert (back.crashes, back.failures) == (0, 0)
    assert back.progress.current >= (back.checkpoint or 0)  # What it said last is not lost with the hand-back.
    launch("worker", **KINDS)
    ended = await until(task.id, *ENDED)
    assert (ended.status, ended.crashes, ended.failures) == (TaskStatus.SUCCEEDED, 0, 0)


@pytest.mark.parametrize("kind", ["steps", "spin"])
async def test_running_task_is_cancelled(
    launch: Launch, submit: Submit, redis: Redis, settings: Settings, kind: str
) -> None:
    launch("worker", **KINDS)
    task = await submit(kind, {"steps": 600, "pause_s": 0.1})
    await until(task.id, TaskStatus.RUNNING)
    await ask_to_cancel(redis, settings, task.id)
    ended = await until(task.id, *ENDED)
    assert (ended.status, ended.cancel_reason, ended.error) == (TaskStatus.CANCELLED, "no longer needed", None)
    assert [entry.status for entry in ended.timeline[-2:]] == [TaskStatus.CANCELLING, TaskStatus.CANCELLED]


async def test_cancel_that_a_driver_swallowed_still_ends_the_task(
    launch: Launch, submit: Submit, redis: Redis, settings: Settings
) -> None:
    launch("worker", **KINDS)
    task = await submit("distracted", {"steps": 600, "pause_s": 0.1})
    await until(task.id, TaskStatus.RUNNING)
    await ask_to_cancel(redis, settings, task.id)
    ended = await until(task.id, *ENDED)
    assert (ended.status, ended.error) == (TaskStatus.CANCELLED, None)


async def test_bar_does_not_go_back_while_a_task_is_being_cancelled(
    launch: Launch, submit: Submit, redis: Redis, settings: Settings
) -> None:
    launch("worker", **KINDS)
    task = await submit("distracted", {"steps": 600, "pause_s": 0.06})
    await until(task.id, TaskStatus.RUNNING)
    streams = EventStreams(redis, settings.namespace)
    await until_true(task.id, lambda stored: stored.progress.current)
    await ask_to_cancel(redis, settings, task.id)
    stopping = await until(task.id, TaskStatus.CANCELLING)
    said = await streams.read(task.id, Cursor(2, 1))
    before = [event for cursor, event in said if isinstance(event, Progressed) and cursor < stopping.cursor]
    assert stopping.progress.current >= before[-1].current


async def test_code_that_does_not_yield_is_left_behind_after_the_grace(
    launch: Launch, submit: Submit, redis: Redis, settings: Settings
) -> None:
    launch("worker", **KINDS)
    task = await submit("stubborn", {"steps": 100, "pause_s": 0.1})
    await until(task.id, TaskStatus.RUNNING)
    await ask_to_cancel(redis, settings, task.id)
    ended = await until(task.id, *ENDED, within_s=20)
    assert ended.error is not None
    assert (ended.status, ended.error.code) == (TaskStatus.CANCELLED, "FORCED")


async def test_timeout_ends_an_attempt(launch: Launch, submit: Submit) -> None:
    launch("worker", **KINDS)
    slow = await submit("steps", {"steps": 600, "pause_s": 0.1}, timeout_s=0.5, max_attempts=1)
    busy = await submit("spin", {"steps": 600, "pause_s": 0.1}, timeout_s=0.5, max_attempts=1)
    for task in (slow, busy):
        ended = await until(task.id, *ENDED)
        assert ended.error is not None
        assert (ended.status, ended.error.code) == (TaskStatus.FAILED, "TIMEOUT")


async def test_blocked_loop_does_not_cost_its_neighbours_a_crash(launch: Launch, submit: Submit) -> None:
    worker = launch("worker", **KINDS)
    neighbour = await submit("steps", {"steps": 600, "pause_s": 0.1})
    await until(neighbour.id, TaskStatus.RUNNING)
    blocker = await submit("blocking", {"steps": 600, "pause_s": 0.1}, timeout_s=1.0)
    ended = await until(blocker.id, *ENDED)
    assert ended.error is not None
    assert (ended.status, ended.error.code) == (TaskStatus.FAILED, "TIMEOUT")
    assert await asyncio.to_thread(worker.wait, 10) == 70
    back = await until(neighbour.id, TaskStatus.QUEUED)
    assert back.crashes == 0


async def test_frozen_worker_is_fenced_when_it_thaws(launch: Launch, submit: Submit) -> None:
    frozen = launch("worker", **KINDS)
    task = await submit("steps", {"steps": 20, "pause_s": 0.1})
    await until(task.id, TaskStatus.RUNNING)
    os.kill(frozen.pid, signal.SIGSTOP)
    launch("worker", **KINDS)
    await until_true(task.id, lambda stored: stored.attempt == 2)
    os.kill(frozen.pid, signal.SIGCONT)
    ended = await until(task.id, *ENDED)
    assert ended.result is not None
    assert ended.result["attempts"] == 2
    assert sum(entry.status.is_terminal for entry in ended.timeline) == 1


async def test_unpublished_scheduled_and_late_tasks_are_seen_to(launch: Launch, submit: Submit) -> None:
    launch("worker", **KINDS)
    first = await submit("flaky", {"failures": 0})
    await until(first.id, TaskStatus.SUCCEEDED)  # Both processes are up.
    unpublished = await submit("flaky", {"failures": 0}, publish=False)
    soon = utc_now() + timedelta(seconds=2)
    scheduled = await submit("flaky", {"failures": 0}, publish=False, status=TaskStatus.SCHEDULED, run_at=soon)
    late = await submit(
        "flaky",
        {"failures": 0},
        publish=False,
        status=TaskStatus.SCHEDULED,
        run_at=soon + timedelta(hours=1),
        deadline=soon,
    )
    expired = await until(late.id, TaskStatus.EXPIRED)
    assert expired.timeline[-1].reason
    ended = await until(scheduled.id, *ENDED)
    assert ended.started_at is not None
    assert abs(ended.started_at - soon) < timedelta(seconds=3)
    await until(unpublished.id, TaskStatus.SUCCEEDED)
