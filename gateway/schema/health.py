"""The query `health`."""

from datetime import datetime

import strawberry

from gateway import health
from gateway.guard.directives import SCAN_WEIGHT, Cost, ListSize
from gateway.schema.enums import HealthStatus, ServiceStatus
from gateway.schema.fields import ContextInfo, query


@strawberry.type(name="ServiceHealth", description="One service that this replica needs.")
class ServiceHealthType:
    """Its source is a gateway.health.ServiceHealth."""

    name: str = strawberry.field(description="MongoDB, Redis, and RabbitMQ or, where there is no broker, direct.")
    status: ServiceStatus = strawberry.field(description="Whether it answered within a second.")
    latency_ms: float | None = strawberry.field(description="Milliseconds until it answered, null if it did not.")


@strawberry.type(name="Health", description="Whether this replica and what it needs are well.")
class HealthType:
    """Its source is a gateway.health.Health."""

    status: HealthStatus = strawberry.field(description="The replica as a whole.")
    timestamp: datetime = strawberry.field(description="When the services were asked.")
    services: list[ServiceHealthType] = strawberry.field(
        description="Each service's answer.", directives=[ListSize(assumed_size=3)]
    )


@strawberry.type
class HealthQuery:
    """The root that asks the services."""

    @query(HealthType, "Ask the services now; takes at most a second.", Cost(weight=SCAN_WEIGHT))
    async def health(self, info: ContextInfo) -> health.Health:
        return await health.check(info.context.services)
