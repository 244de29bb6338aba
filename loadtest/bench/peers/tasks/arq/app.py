"""arq as it comes: 10 jobs at once, a look for new ones every half second."""

import time
from typing import Any, ClassVar

import turns
from arq import create_pool
from arq.connections import ArqRedis, RedisSettings

REDIS = RedisSettings.from_dsn(turns.REDIS_URL)
pools: list[ArqRedis] = []


async def work(ctx: dict[str, Any], turn: str, total: int, steps: int) -> None:
    """Do nothing, and say so."""
    started = time.time()
    for step in range(steps):
        await ctx["redis"].publish(turn, f"{step + 1} of {steps}")
    if turns.is_last(turn, total):
        await ctx["redis"].rpush(turn, started)


class WorkerSettings:
    """What the program arq reads."""

    functions: ClassVar = [work]
    queue_name = turns.NAME
    redis_settings = REDIS


async def enqueue(turn: str, total: int, steps: int) -> None:
    """Submit one task."""
    if not pools:
        pools.append(await create_pool(REDIS, default_queue_name=turns.NAME))
    await pools[0].enqueue_job("work", turn, total, steps)


if __name__ == "__main__":
    turns.submit(enqueue)
