"""What the run queue keeps in Redis, and for how long."""

import asyncio
from uuid import uuid4

from arq.constants import in_progress_key_prefix, job_key_prefix
from redis.asyncio import Redis

from core.messages import TaskMessage
from core.settings import Settings
from jobs.queue import IN_PROGRESS_MS, RunQueues


async def test_keys_of_a_taken_ticket_go_with_its_worker(redis: Redis, settings: Settings) -> None:
    queue = RunQueues(redis, settings.namespace).common
    ticket = TaskMessage(uuid4(), 1).ticket
    keys = (job_key_prefix + ticket, in_progress_key_prefix + ticket)
    await queue.put([ticket])
    assert await redis.pttl(keys[0]) > 60_000

    assert await queue.take(5) == [ticket]
    assert all([0 < await redis.pttl(key) <= IN_PROGRESS_MS for key in keys])

    for key in keys:
        await redis.pexpire(key, 5_000)
    await queue.renew([ticket])
    assert all([5_000 < await redis.pttl(key) <= IN_PROGRESS_MS for key in keys])

    await queue.forget([ticket])
    assert not await redis.exists(*keys)


async def test_waiting_take_has_the_next_ticket_that_is_put_and_none_that_another_took(
    redis: Redis, settings: Settings
) -> None:
    queue = RunQueues(redis, settings.namespace).common
    tickets = sorted(TaskMessage(uuid4(), 1).ticket for _ in range(3))  # Those of one moment go by their names.
    waiting = [asyncio.create_task(queue.take_next(20.0), name=f"take {number}") for number in range(2)]
    await queue.put(tickets)
    assert {await each for each in waiting} == set(tickets[:2])
    assert await queue.take_next(20.0) == tickets[2]
    assert await queue.take_next(0.01) is None
    assert await queue.missing(tickets) == tickets
    await queue.renew(tickets)
    assert await queue.missing(tickets) == []
