"""A task from RabbitMQ through the bridge and arq to its stored end."""

import hashlib

from redis.asyncio import Redis

from core.events import Cursor, Progressed, StateChanged
from core.settings import Settings
from core.states import TaskStatus
from core.streams import EventStreams
from tests.integration.jobs.conftest import Launch, Submit, until


async def test_task_runs_to_its_end_and_tells_every_step(
    launch: Launch, submit: Submit, settings: Settings, redis: Redis
) -> None:
    launch("bridge")
    launch("worker")
    task = await submit("processData", {"data": "hello", "iterations": 20})
    ended = await until(task.id, TaskStatus.SUCCEEDED)

    assert ended.result is not None
    assert ended.result["total_processed"] == 20
    assert len(ended.result["processed_items"][0]["digest"]) == len(hashlib.sha256().hexdigest())
    assert ended.attempt == 1
    assert ended.progress.current == ended.progress.total == 20
    assert ended.expire_at is not None
    statuses = [entry.status for entry in ended.timeline]
    assert statuses in (
        [TaskStatus.PENDING, TaskStatus.QUEUED, TaskStatus.RUNNING, TaskStatus.SUCCEEDED],
        [TaskStatus.PENDING, TaskStatus.RUNNING, TaskStatus.SUCCEEDED],
    )
    events = await EventStreams(redis, settings.namespace).read(task.id, Cursor(1, 1))
    cursors = [cursor for cursor, _ in events]
    assert cursors == sorted(set(cursors))
    last = events[-1][1]
    assert isinstance(last, StateChanged)
    assert last.status is TaskStatus.SUCCEEDED
    assert cursors[-1] == ended.cursor
    progress = [event for _, event in events if isinstance(event, Progressed)]
    assert progress[-1].current == 20
