"""What a resolver can reach: the replica's services, and the one operation it serves."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from redis.asyncio import Redis

from core.connections import MongoClient
from core.publisher import Publisher
from core.settings import Settings
from core.streams import EventStreams
from gateway.batch_watches import BatchWatches
from gateway.identity.budget import CostBudget
from gateway.identity.principals import Principal
from gateway.relay import Relay
from gateway.submit import Submitter
from jobs.kinds import Kind


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


@dataclass
class Position:
    """Where a subscription is: the id of the event whose answer is being made, None before the first."""

    cursor: str | None = None


@dataclass(frozen=True)
class OperationContext:
    """One operation: who asks, and the correlation id under which everything it causes is logged."""

    services: Services
    principal: Principal
    correlation_id: str
    budget: CostBudget | None = None
    position: Position = field(default_factory=Position)

    @property
    def owner(self) -> str:
        """Whose the tasks are that it submits."""
        return self.principal.owner

    async def charge(self, cost: int) -> None:
        """Take what the operation costs from the minute of whoever asks. Raises RateLimited."""
        if self.budget is not None:
            await self.budget.charge(self.owner, cost)
