"""The enums that the schema shares with the core, with a description for every value."""

from enum import Enum
from typing import TypeVar

import strawberry
from strawberry.types.enum import has_enum_definition

from core.states import Delivery, Priority, TaskStatus
from gateway.health import HealthStatus, ServiceStatus

E = TypeVar("E", bound=type[Enum])


def describe(enum: E, description: str, **values: str) -> E:
    """Make `enum` a GraphQL enum and describe its values, all of them. Raises KeyError for one without words."""
    described = strawberry.enum(enum, description=description)
    assert has_enum_definition(described)
    for value in described.__strawberry_definition__.values:
        value.description = values[value.name]
    return enum


describe(
    TaskStatus,
    "Where a task stands. SUCCEEDED, FAILED, CANCELLED and EXPIRED are ends: a task that has ended never changes.",
    SCHEDULED="It waits for the time it was scheduled for.",
    PENDING="It is stored durably and on its way to the broker.",
    QUEUED="It is in the run queue and starts as soon as a worker has a free slot.",
    RUNNING="A worker is at it.",
    RETRYING="An attempt failed; another one follows after a pause.",
    CANCELLING="It was asked to stop and has not yet done so.",
    SUCCEEDED="It is done; its result can be read.",
    FAILED="It ended without a result; `error` says why.",
    CANCELLED="It was stopped before it was done.",
    EXPIRED="Its deadline passed before it could start.",
)
describe(
    Priority,
    "Which tasks go first. A lower priority is slower, never starved.",
    HIGH="Before the others.",
    NORMAL="The usual.",
    LOW="When nothing more urgent waits, and now and then in between.",
)
describe(
    Delivery,
    "How this news arrived.",
    LIVE="At once, by the live stream.",
    DEGRADED="About once a second, from the database, because the live stream is away. Nothing is lost but smoothness.",
)
describe(
    HealthStatus,
    "Whether this replica can do its work.",
    HEALTHY="Every service answers.",
    DEGRADED="MongoDB answers and tasks are accepted; another service is away, so they may start later.",
    UNHEALTHY="MongoDB does not answer, so nothing can be accepted or read.",
)
describe(
    ServiceStatus,
    "Whether a service answered within a second.",
    UP="It answered.",
    DOWN="It did not.",
)

__all__ = ["Delivery", "HealthStatus", "Priority", "ServiceStatus", "TaskStatus"]
