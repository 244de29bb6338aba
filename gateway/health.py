"""Whether what this replica needs answers: one check for `/health`, `/readyz` and the schema's `health`."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from core.clock import utc_now
from gateway.context import Services

CHECK_TIMEOUT_S = 1.0


class HealthStatus(StrEnum):
    """The replica as a whole: UNHEALTHY without MongoDB, DEGRADED while another service is away."""

    HEALTHY = "HEALTHY"
    DEGRADED = "DEGRADED"
    UNHEALTHY = "UNHEALTHY"


class ServiceStatus(StrEnum):
    """Whether one service answered within a second."""

    UP = "UP"
    DOWN = "DOWN"


@dataclass(frozen=True)
class ServiceHealth:
    """One service's answer. `latency_ms` is None when there was none."""

    name: str
    status: ServiceStatus
    latency_ms: float | None


@dataclass(frozen=True)
class Health:
    """All services' answers at one moment."""

    status: HealthStatus
    timestamp: datetime
    services: tuple[ServiceHealth, ...]

    @property
    def is_ready(self) -> bool:
        """Whether this replica can answer queries and accept tasks: MongoDB answers."""
        return self.status is not HealthStatus.UNHEALTHY

    def as_json(self) -> dict[str, Any]:
        """Return the body of `/health`: `{"status": "healthy", "timestamp": …, "services": {"mongodb": "up", …}}`."""
        return {
            "status": self.status.lower(),
            "timestamp": self.timestamp.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "services": {service.name.lower(): service.status.lower() for service in self.services},
        }


async def check(services: Services) -> Health:
    """Ask all services at once; takes at most a second. Never raises because of one that does not answer.

    With the `direct` broker its entry is named direct and tells whether the wake-up of a bridge can be sent.
    """
    broker = "RabbitMQ" if services.settings.broker == "rabbitmq" else "direct"
    answers = await asyncio.gather(
        _ask("MongoDB", lambda: services.mongo.admin.command("ping")),
        _ask("Redis", services.redis.ping),
        _ask(broker, services.publisher.check),
    )
    if answers[0].status is ServiceStatus.DOWN:
        status = HealthStatus.UNHEALTHY
    elif all(answer.status is ServiceStatus.UP for answer in answers):
        status = HealthStatus.HEALTHY
    else:
        status = HealthStatus.DEGRADED
    return Health(status, utc_now(), answers)


async def _ask(name: str, ping: Callable[[], Awaitable[Any]]) -> ServiceHealth:
    started = time.perf_counter()
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            await ping()
    except Exception:  # noqa: BLE001  # Whatever a client library raises, the answer to the question is: down.
        return ServiceHealth(name, ServiceStatus.DOWN, None)
    return ServiceHealth(name, ServiceStatus.UP, round((time.perf_counter() - started) * 1000, 2))
