"""What each principal's operations may cost a minute, counted in Redis for all replicas together."""

import asyncio
import math
import time

from limits import RateLimitItemPerMinute
from limits.aio.storage import RedisStorage
from limits.aio.strategies import FixedWindowRateLimiter
from redis.asyncio import Redis
from redis.exceptions import RedisError

from core.errors import RateLimited
from core.telemetry import get_logger
from gateway.metrics import BUDGET_FAILURES, BUDGET_REFUSALS

WAIT_S = 0.25
"""An operation waits no longer for Redis; then it runs uncharged."""
PAUSE_S = 1.0
"""After a failure Redis is not asked for so long, so that an outage does not cost every operation the wait."""

log = get_logger(__name__)


class CostBudget:
    """Counts in windows of a minute, which begin with a principal's first operation. Fails open: without Redis all run.

    What is refused counts too, so a client that does not wait for `retryAfter` gains nothing.
    """

    def __init__(self, redis: Redis, namespace: str, per_minute: int) -> None:
        self._item = RateLimitItemPerMinute(per_minute)
        storage = RedisStorage(
            "async+redis://",
            implementation="redispy",
            key_prefix=f"{namespace}:budget",
            connection_pool=redis.connection_pool,  # type: ignore[arg-type]  # It passes on what it does not know.
        )
        self._limiter = FixedWindowRateLimiter(storage)
        self._ask_again_at = 0.0

    async def charge(self, owner: str, cost: int) -> None:
        """Take `cost` from the owner's minute; all of it where it is more. Raises RateLimited if that is spent."""
        if time.monotonic() < self._ask_again_at:
            BUDGET_FAILURES.inc()
            return
        try:
            async with asyncio.timeout(WAIT_S):
                if await self._limiter.hit(self._item, owner, cost=min(cost, self._item.amount)):
                    return
                reset_at = (await self._limiter.get_window_stats(self._item, owner)).reset_time
        except (RedisError, OSError, TimeoutError) as exc:
            self._ask_again_at = time.monotonic() + PAUSE_S
            BUDGET_FAILURES.inc()
            log.warning("Redis does not count costs; operations run uncharged", reason=str(exc) or type(exc).__name__)
            return
        BUDGET_REFUSALS.inc()
        raise RateLimited(min(60, max(1, math.ceil(reset_at - time.time()))))
