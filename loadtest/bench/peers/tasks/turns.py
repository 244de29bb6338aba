"""What the queues without an API have in common: a turn of tasks is submitted, and its last task says that it is over.

`python app.py COUNT STEPS` submits COUNT tasks at once and writes when it began and when the last had run;
`python app.py COUNT` submits one after the other and writes how long each took to start, in seconds.
"""

import asyncio
import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable

from redis.asyncio import Redis

NAME = os.environ["BENCH_NAME"]
REDIS_URL = os.environ["REDIS_URL"]
AT_ONCE = 64
QUIET_S = 0.15

_ended: Counter[str] = Counter()
_lock = threading.Lock()


def is_last(turn: str, total: int) -> bool:
    """Count a task's end, in the one process that runs them; return whether it is the turn's last."""
    with _lock:
        _ended[turn] += 1
        return _ended[turn] == total


def submit(enqueue: Callable[[str, int, int], Awaitable[object]]) -> None:
    """Do what the arguments ask for; `enqueue(turn, total, steps)` submits one task of a turn of `total`."""
    count, *steps = (int(word) for word in sys.argv[1:])
    told = _together(enqueue, count, steps[0]) if steps else _alone(enqueue, count)
    sys.stdout.write(json.dumps(asyncio.run(told)))


async def _together(enqueue: Callable[[str, int, int], Awaitable[object]], count: int, steps: int) -> list[float]:
    turn, left = f"{NAME}:{time.time_ns()}", iter(range(count))
    began = time.time()

    async def work() -> None:
        for _ in left:
            await enqueue(turn, count, steps)

    async with Redis.from_url(REDIS_URL) as redis:
        await asyncio.gather(*(work() for _ in range(AT_ONCE)))
        await redis.blpop(turn)
        return [began, time.time()]


async def _alone(enqueue: Callable[[str, int, int], Awaitable[object]], count: int) -> list[float]:
    took = []
    async with Redis.from_url(REDIS_URL) as redis:
        for number in range(count):
            turn = f"{NAME}:{time.time_ns()}:{number}"
            began = time.time()
            await enqueue(turn, 1, 0)
            _, started = await redis.blpop(turn)
            took.append(float(started) - began)
            await asyncio.sleep(QUIET_S)
    return took
