"""What a resolver can reach: the replica's services, and the one operation it serves."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import bson
from redis.asyncio import Redis

from core.connections import MongoClient
from core.errors import ResponseTooLarge
from core.events import Cursor
from core.publisher import Publisher
from core.settings import Settings
from core.streams import EventStreams
from gateway.batch_watches import BatchWatches
from gateway.identity.budget import CostBudget
from gateway.identity.principals import Principal
from gateway.reads import SharedReads
from gateway.relay import Relay
from gateway.submit import Submitter
from jobs.kinds import Kind

MAX_LARGE_BYTES = 16 * 1024 * 1024
"""Of inputs and results of tasks, read for one operation or event, however much or little of them it answers with."""
MUCH_BYTES = 100_000


@dataclass(frozen=True)
class Services:
    """One replica's connections, opened by the app's lifespan and shared by all operations."""

    settings: Settings
    kinds: Mapping[str, Kind]
    mongo: MongoClient
    redis: Redis
    publisher: Publisher
    streams: EventStreams
    relay: Relay
    submitter: Submitter
    batches: BatchWatches = field(default_factory=BatchWatches)


@dataclass(slots=True, eq=False)  # Not frozen: one is made for each request, and that would take twice as long.
class OperationContext:
    """One operation: who asks, and the correlation id under which everything it causes is logged."""

    services: Services
    principal: Principal
    correlation_id: str
    budget: CostBudget | None = None
    reads: SharedReads | None = None
    """What operations of the same moment share, None to share nothing."""
    cursor: Cursor | None = None
    """Where a subscription is: the id of the event whose answer is being made, None before the first."""
    large_bytes: int = 0
    """Of values that may be large, read for the answer; of a subscription, for its current event."""

    @property
    def owner(self) -> str:
        """Whose the tasks are that it submits."""
        return self.principal.owner

    def take_large(self, value: Any) -> None:
        """Count a value that may be large as MongoDB stores it. Raises ResponseTooLarge."""
        self.large_bytes += len(bson.encode({"": value}))
        if self.large_bytes > MAX_LARGE_BYTES:
            raise ResponseTooLarge(MAX_LARGE_BYTES)

    @property
    def is_large(self) -> bool:
        """Whether it matters how often what was read stands in the answer."""
        return self.large_bytes > MUCH_BYTES

    async def charge(self, cost: int) -> None:
        """Take what the operation costs from the minute of whoever asks. Raises RateLimited."""
        if self.budget is not None:
            await self.budget.charge(self.owner, cost)
