"""A task from RabbitMQ through the bridge and arq to its stored end."""

import asyncio
import hashlib
from uuid import UUID

from redis.asyncio import Redis

from core.events import Cursor, Event, Progressed, StateChanged
from core.messages import TaskMessage, bridge_wake_channel
from core.publisher import RabbitPublisher
from core.settings import Settings
from core.states import Priority, TaskStatus
from core.streams import EventStreams
from tests.integration.jobs.conftest import Launch, Submit, until


async def streamed_until(streams: EventStreams, task_id: UUID, last: Cursor) -> list[tuple[Cursor, Event]]:
    """Return the task's events once the stream has this one: it is told after MongoDB has it."""
    async with asyncio.timeout(10):
        while True:
            events = await streams.read(task_id, Cursor(1, 1))
            if events and events[-1][0] >= last:
                return events
            await asyncio.sleep(0.05)


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
    statuses = [TaskStatus.PENDING, TaskStatus.QUEUED, TaskStatus.RUNNING, TaskStatus.SUCCEEDED]
    assert [entry.status for entry in ended.timeline] == statuses
    events = await streamed_until(EventStreams(redis, settings.namespace), task.id, ended.cursor)
    assert [event.status for _, event in events if isinstance(event, StateChanged)][-3:] == statuses[1:]
    cursors = [cursor for cursor, _ in events]
    assert cursors == sorted(set(cursors))
    last = events[-1][1]
    assert isinstance(last, StateChanged)
    assert last.status is TaskStatus.SUCCEEDED
    assert cursors[-1] == ended.cursor
    progress = [event for _, event in events if isinstance(event, Progressed)]
    assert progress[-1].current == 20


async def test_without_a_broker_the_bridge_reads_the_backlog_from_mongodb(
    launch: Launch, submit: Submit, redis: Redis, settings: Settings
) -> None:
    launch("bridge", HEADWAY_BROKER="direct")
    launch("worker")
    low = await submit("processData", {"data": "low", "iterations": 1}, publish=False, priority=Priority.LOW)
    await until(low.id, TaskStatus.SUCCEEDED)
    high = await submit("processData", {"data": "high", "iterations": 1}, publish=False, priority=Priority.HIGH)
    await redis.publish(bridge_wake_channel(settings.namespace), str(high.id))
    await until(high.id, TaskStatus.SUCCEEDED)


async def test_duplicate_and_stale_messages_never_run_a_task_twice(
    launch: Launch, submit: Submit, amqp: RabbitPublisher
) -> None:
    launch("bridge")
    launch("worker")
    task = await submit("processData", {"data": "x", "iterations": 1})
    for epoch in (1, 1, 0, 7):
        await amqp.publish(TaskMessage(task.id, epoch), Priority.HIGH)
    await until(task.id, TaskStatus.SUCCEEDED)
    for _ in range(3):
        await amqp.publish(TaskMessage(task.id, 1), Priority.NORMAL)
    last = await submit("processData", {"data": "y", "iterations": 1})
    await until(last.id, TaskStatus.SUCCEEDED)
    ended = await until(task.id, TaskStatus.SUCCEEDED)
    assert ended.attempt == 1
    assert [entry.status for entry in ended.timeline].count(TaskStatus.RUNNING) == 1
