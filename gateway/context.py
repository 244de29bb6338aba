"""What a resolver can reach: the replica's services, and the one operation it serves."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from redis.asyncio import Redis

from core.connections import MongoClient
from core.publisher import Publisher
from core.settings import Settings
from core.streams import EventStreams
from gateway.batch_watches import BatchWatches
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


@dataclass(frozen=True)
class OperationContext:
    """One operation: who asks, and the correlation id under which everything it causes is logged."""

    services: Services
    owner: str
    correlation_id: str
