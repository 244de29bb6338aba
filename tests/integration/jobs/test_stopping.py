"""A loop on a real Redis ends whenever it is asked to, however often the client swallows that."""

import asyncio
import random

from redis.asyncio import Redis

from core.settings import Settings
from jobs.cancellation import cancel_until_done


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
