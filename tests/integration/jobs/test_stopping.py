"""Loops and attempts end when they are asked to, though the clients of Redis and MongoDB may swallow that."""

import asyncio
import random

import pytest
from redis.asyncio import Redis

from core.cancellation import cancel_until_done
from core.connections import MongoClient
from core.documents import Task
from core.settings import Settings
from core.states import TaskStatus
from jobs.attempt import Attempt, Interruption
from jobs.context import LoopContext
from jobs.ledger import Ledger


async def test_checkpoint_of_an_interrupted_attempt_is_stored_and_ends_it(mongo: MongoClient) -> None:
    fields = {"kind": "steps", "input": {}, "max_attempts": 3, "timeout_s": 60.0, "epoch": 2}
    task = await Task(status=TaskStatus.RUNNING, **fields).insert()
    attempt = Attempt(task, lambda _: None)
    ledger = Ledger("test")
    attempt.interrupt(Interruption.SHUTDOWN)
    with pytest.raises(asyncio.CancelledError):
        await LoopContext(attempt, ledger).checkpoint({"done": 7})
    stored = await Task.get(task.id)
    assert stored is not None
    assert stored.checkpoint == {"done": 7}


async def test_loop_on_redis_ends_at_any_moment(redis: Redis, settings: Settings) -> None:
    async def ask_forever() -> None:
        while True:
            await redis.zcard(settings.namespace)

    moments = random.Random(7)
    for _ in range(300):
        task = asyncio.create_task(ask_forever())
        await asyncio.sleep(moments.random() * 0.003)
        async with asyncio.timeout(10):
            await cancel_until_done([task])
        assert task.cancelled()
