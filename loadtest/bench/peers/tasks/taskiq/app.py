"""taskiq on Redis, with acknowledgements: its stream broker."""

import time

import turns
from redis.asyncio import Redis
from taskiq_redis import RedisStreamBroker

broker = RedisStreamBroker(turns.REDIS_URL, queue_name=turns.NAME)
redis = Redis.from_url(turns.REDIS_URL)


@broker.task
async def work(turn: str, total: int, steps: int) -> None:
    """Do nothing, and say so."""
    started = time.time()
    for step in range(steps):
        await redis.publish(turn, f"{step + 1} of {steps}")
    if turns.is_last(turn, total):
        await redis.rpush(turn, started)


async def enqueue(turn: str, total: int, steps: int) -> None:
    """Submit one task."""
    await work.kiq(turn, total, steps)


if __name__ == "__main__":
    turns.submit(enqueue)
