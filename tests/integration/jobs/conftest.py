"""Real bridge and worker processes on the test's own namespace."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from redis.asyncio import Redis

from core.clock import utc_now
from core.connections import MongoClient, open_amqp
from core.documents import Task, TimelineEntry
from core.messages import TaskMessage, cancel_channel
from core.publisher import RabbitPublisher
from core.settings import Settings
from core.states import TaskStatus
from tests.environments import environment_of

Launch = Callable[..., "subprocess.Popen[bytes]"]
Submit = Callable[..., Awaitable[Task]]


@pytest.fixture
async def launch(settings: Settings, mongo: MongoClient, tmp_path: Path) -> AsyncIterator[Launch]:
    """Start `python -m jobs.<role>`; whatever still runs at the end of the test is ended."""
    started: list[subprocess.Popen[bytes]] = []

    def start(role: str, **extra: str) -> "subprocess.Popen[bytes]":
        with (tmp_path / f"{role}-{len(started)}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", f"jobs.{role}"], env=environment_of(settings, **extra), stderr=log
            )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.terminate()
    for process in started:
        try:
            await asyncio.to_thread(process.wait, 20)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    _show_logs(tmp_path)


def _show_logs(folder: Path) -> None:
    for log_file in sorted(folder.glob("*.log")):
        print(log_file.name, log_file.read_text(), sep="\n")  # noqa: T201  # Shown by pytest when the test fails.


@pytest.fixture
async def amqp(settings: Settings) -> AsyncIterator[RabbitPublisher]:
    """Publishes to the test's queues."""
    connection = await open_amqp(settings)
    yield RabbitPublisher(connection, settings.namespace)
    await connection.close()


@pytest.fixture
def submit(mongo: MongoClient, amqp: RabbitPublisher) -> Submit:
    """Store a PENDING task and publish it, as the gateway does."""

    async def send(kind: str, values: dict[str, Any], *, publish: bool = True, **fields: Any) -> Task:
        fields = {"status": TaskStatus.PENDING, "max_attempts": 3, "timeout_s": 60.0, **fields}
        task = Task(kind=kind, input=values, **fields)
        task.timeline.append(TimelineEntry(epoch=1, n=1, at=task.created_at, attempt=0, status=task.status, by="test"))
        await task.insert()
        if publish:
            await amqp.publish(TaskMessage(task.id, 1), task.priority)
        return task

    return send


async def ask_to_cancel(redis: Redis, settings: Settings, task_id: UUID) -> None:
    """Record the intent and wake the holder, as the gateway does."""
    await Task.find_one({"_id": task_id}).update_one(
        {"$set": {"cancel_requested_at": utc_now(), "cancel_reason": "no longer needed"}}
    )
    await redis.publish(cancel_channel(settings.namespace), str(task_id))


async def until_true(task_id: UUID, holds: Callable[[Task], object], within_s: float = 30.0) -> Task:
    """Return the task once the condition holds for it. MongoDB has no wake-up, so this looks 20 times a second."""
    async with asyncio.timeout(within_s):
        while True:
            task = await Task.get(task_id)
            assert task is not None
            if holds(task):
                return task
            await asyncio.sleep(0.05)


async def until(task_id: UUID, *statuses: TaskStatus, within_s: float = 30.0) -> Task:
    """Return the task once it has one of these statuses."""
    return await until_true(task_id, lambda task: task.status in statuses, within_s)
