"""Measures what waits, for the metrics: by the leading bridge alone, so that a sum over all bridges is the truth."""

import asyncio

from pymongo.errors import PyMongoError
from redis.exceptions import RedisError

from core import backlog
from core.clock import utc_now
from core.states import Priority
from core.telemetry import get_logger
from jobs.bridge.leader import Leadership
from jobs.metrics import BACKLOG, BACKLOG_AGE, RUN_QUEUE
from jobs.queue import RunQueues

MEASURE_EVERY_S = 5.0
SHARE = 1 / 20
"""Of the time that measuring takes at most, where it takes long."""
REST_S = 30.0
"""At most, however long it took: what scales workers by these numbers looks at them twice a minute."""

log = get_logger(__name__)


async def measure_forever(leadership: Leadership, queues: RunQueues) -> None:
    """Measure every 5 s while this bridge leads, until cancelled; what can't be measured is not told.

    Where MongoDB is slow to count it measures less often, down to every 30 s.
    """
    loop = asyncio.get_running_loop()
    rests_until = 0.0
    while True:
        began = loop.time()
        try:
            if not leadership.leads:
                _forget()
            elif began >= rests_until:
                await measure(queues)
                ended = loop.time()
                rests_until = ended + min(REST_S, (ended - began) / SHARE)
        except (PyMongoError, RedisError, OSError, TimeoutError) as exc:
            log.info("The backlog was not measured", error=str(exc))
            _forget()
        await asyncio.sleep(MEASURE_EVERY_S)


async def measure(queues: RunQueues) -> None:
    """Measure once. Raises PyMongoError or RedisError."""
    for priority in Priority:
        waiting = await backlog.measure(priority)
        age_s = (utc_now() - waiting.since).total_seconds() if waiting.since else 0.0
        BACKLOG_AGE.labels(priority.value).set(max(0.0, age_s))
        BACKLOG.labels(priority.value).set(waiting.tasks)
    RUN_QUEUE.labels("common").set(await queues.common.length())
    RUN_QUEUE.labels("suspects").set(await queues.suspects.length())


def _forget() -> None:
    for gauge in (BACKLOG, BACKLOG_AGE, RUN_QUEUE):
        gauge.clear()
