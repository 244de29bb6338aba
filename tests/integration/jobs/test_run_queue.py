"""What the run queue keeps in Redis, and for how long."""

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
