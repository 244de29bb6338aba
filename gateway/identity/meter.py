"""What a subscription goes on costing: its price again with the first event of every further minute."""

import time

from core.errors import RateLimited, SubscriptionUnpaid
from core.events import Cursor
from gateway.context import OperationContext

EVERY_S = 60.0


class Meter:
    """One subscription's, that was charged `cost` at its start. A minute in which nothing happens costs nothing."""

    __slots__ = ("_context", "_cost", "paid_until")

    def __init__(self, cost: int, context: OperationContext) -> None:
        self._cost = cost
        self._context = context
        self.paid_until = time.monotonic() + EVERY_S
        """By time.monotonic()."""

    @property
    def is_due(self) -> bool:
        """Whether the next event has to be paid for."""
        return time.monotonic() >= self.paid_until

    async def pay(self, sent: Cursor | None) -> None:
        """Charge for another minute; `sent` is the cursor of the last event before it. Raises SubscriptionUnpaid."""
        try:
            await self._context.charge(self._cost)
        except RateLimited as exc:
            raise SubscriptionUnpaid(exc.retry_after_s, None if sent is None else str(sent)) from exc
        self.paid_until = time.monotonic() + EVERY_S
