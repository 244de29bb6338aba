"""dramatiq on Redis, as it comes: one process of 8 threads."""

import time

import dramatiq
import turns
from dramatiq.brokers.redis import RedisBroker
from redis import Redis

dramatiq.set_broker(RedisBroker(url=turns.REDIS_URL, namespace=turns.NAME))
redis = Redis.from_url(turns.REDIS_URL)


@dramatiq.actor
def work(turn: str, total: int, steps: int) -> None:
    """Do nothing, and say so."""
    started = time.time()
    for step in range(steps):
        redis.publish(turn, f"{step + 1} of {steps}")
    if turns.is_last(turn, total):
        redis.rpush(turn, started)


async def enqueue(turn: str, total: int, steps: int) -> None:
    """Submit one task."""
    work.send(turn, total, steps)


if __name__ == "__main__":
    turns.submit(enqueue)
