"""What a subscription goes on costing: its price again with the first event of every further minute."""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TypeVar

from core.errors import RateLimited, SubscriptionUnpaid
from gateway.context import OperationContext

EVERY_S = 60.0
T = TypeVar("T")


async def metered(events: AsyncGenerator[T, None], cost: int, context: OperationContext) -> AsyncGenerator[T, None]:
    """Yield the events of a subscription that was charged `cost` at its start, and charge it again while it is told.

    A minute in which nothing happens costs nothing. Raises SubscriptionUnpaid in place of the event that can't be paid.
    Closes `events`.
    """
    paid_until = time.monotonic() + EVERY_S
    sent: str | None = None
    async with aclosing(events):
        async for event in events:
            if time.monotonic() >= paid_until:
                try:
                    await context.charge(cost)
                except RateLimited as exc:
                    raise SubscriptionUnpaid(exc.retry_after_s, sent) from exc
                paid_until = time.monotonic() + EVERY_S
            yield event
            sent = context.position.cursor
