"""What a scan does although Redis or RabbitMQ does not answer."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from core.clock import utc_now
from core.connections import open_amqp
from core.documents import Lease, Task
from core.messages import TaskMessage
from core.publisher import CONFIRM_TIMEOUT_S, TASKS_A_MESSAGE, RabbitPublisher
from core.settings import Settings
from core.states import Priority, TaskStatus
from core.streams import EventStreams
from jobs.bridge.sources import RabbitSource
from jobs.ledger import Ledger
from jobs.queue import RunQueues
from jobs.reconciler import Reconciler
from stack.process import free_port
from tests.integration.gateway_schema.proxy import proxied
from tests.integration.jobs.conftest import Submit


@pytest.fixture
async def reconciler(settings: Settings, amqp: RabbitPublisher) -> AsyncIterator[Reconciler]:
    """One whose Redis refuses connections."""
    gone = Redis.from_url(f"redis://127.0.0.1:{free_port()}/0")
    streams, queues = EventStreams(gone, settings.namespace), RunQueues(gone, settings.namespace)
    yield Reconciler(Ledger("bridge-test"), streams, queues, amqp, None)
    await gone.aclose()


async def stored(task: Task) -> Task:
    """Return the task as it is now."""
    found = await Task.get(task.id)
    assert found is not None
    return found


async def test_what_needs_only_mongodb_is_done_while_redis_is_away(reconciler: Reconciler, submit: Submit) -> None:
    past = utc_now() - timedelta(seconds=30)
    late = await submit("steps", {}, publish=False, deadline=past)
    asked = await submit("steps", {}, publish=False, status=TaskStatus.QUEUED, cancel_requested_at=past)
    scheduled = await submit("steps", {}, publish=False, status=TaskStatus.SCHEDULED, run_at=past)
    retrying = await submit("steps", {}, publish=False, status=TaskStatus.RETRYING, run_at=past)
    lease = Lease(worker="worker-test", until=past)
    lost = await submit("steps", {}, publish=False, status=TaskStatus.RUNNING, lease=lease)
    with pytest.raises(RedisError):
        await reconciler.scan(judges_leases=True)
    assert (await stored(late)).status is TaskStatus.EXPIRED
    assert (await stored(asked)).status is TaskStatus.CANCELLED
    assert (await stored(scheduled)).status is TaskStatus.PENDING
    assert [(await stored(task)).status for task in (retrying, lost)] == [TaskStatus.QUEUED] * 2


async def test_silent_broker_keeps_no_task_of_a_dead_worker_waiting(
    settings: Settings, redis: Redis, submit: Submit
) -> None:
    past = utc_now() - timedelta(seconds=30)
    scheduled = [
        await submit("steps", {}, publish=False, status=TaskStatus.SCHEDULED, run_at=past)
        for _ in range(TASKS_A_MESSAGE + 1)
    ]
    lease = Lease(worker="worker-test", until=past)
    async with proxied(settings.amqp_url) as (proxy, url):
        connection = await open_amqp(settings.model_copy(update={"amqp_url": url}))
        streams, queues = EventStreams(redis, settings.namespace), RunQueues(redis, settings.namespace)
        backlog = RabbitSource(connection, settings.namespace, prefetch=1)
        publisher = RabbitPublisher(connection, settings.namespace)
        reconciler = Reconciler(Ledger("bridge-test"), streams, queues, publisher, backlog)
        try:
            await publisher.publish(TaskMessage(scheduled[0].id, 1), Priority.NORMAL)
            proxy.is_silent = True
            for _ in range(2):
                lost = await submit("steps", {}, publish=False, status=TaskStatus.RUNNING, lease=lease)
                async with asyncio.timeout(CONFIRM_TIMEOUT_S / 2):
                    await reconciler.scan(judges_leases=True)
                assert (await stored(lost)).status is TaskStatus.QUEUED
            proxy.is_silent = False
        finally:
            await reconciler.aclose()
            await connection.close()
    assert {(await stored(task)).status for task in scheduled} == {TaskStatus.PENDING}


async def test_message_that_is_gone_is_published_again_and_one_that_waits_is_not(
    settings: Settings, redis: Redis, amqp: RabbitPublisher, submit: Submit
) -> None:
    past = utc_now() - timedelta(minutes=2)
    waiting = await submit("steps", {}, published_at=past)
    gone = [await submit("steps", {}, publish=False, priority=Priority.HIGH, published_at=past) for _ in range(2)]
    untold = await submit("steps", {}, publish=False, priority=Priority.LOW, status_at=past)
    connection = await open_amqp(settings)
    streams, queues = EventStreams(redis, settings.namespace), RunQueues(redis, settings.namespace)
    backlog = RabbitSource(connection, settings.namespace, prefetch=1)
    reconciler = Reconciler(Ledger("bridge-test"), streams, queues, amqp, backlog)
    try:
        await reconciler.scan(judges_leases=True)
    finally:
        await reconciler.aclose()
        await connection.close()
    for task in (*gone, untold):
        assert ((await stored(task)).published_at or past) > past
    assert (await stored(waiting)).published_at == past
