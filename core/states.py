"""The words of a task's life: statuses, priorities, and which change may follow which."""

from enum import StrEnum


class TaskStatus(StrEnum):
    """Where a task stands. PENDING is durable and owed to the broker, QUEUED is in arq's queue."""

    SCHEDULED = "SCHEDULED"
    PENDING = "PENDING"
    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    RETRYING = "RETRYING"
    CANCELLING = "CANCELLING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"

    @property
    def is_terminal(self) -> bool:
        """Whether a task with this status has ended and never changes again."""
        return self in TERMINAL


TERMINAL = frozenset({TaskStatus.SUCCEEDED, TaskStatus.FAILED, TaskStatus.CANCELLED, TaskStatus.EXPIRED})
CLAIMABLE = frozenset({TaskStatus.PENDING, TaskStatus.QUEUED})
UNCLAIMED = frozenset({TaskStatus.SCHEDULED, TaskStatus.PENDING, TaskStatus.QUEUED, TaskStatus.RETRYING})
HELD = frozenset({TaskStatus.RUNNING, TaskStatus.CANCELLING})


class Priority(StrEnum):
    """Which of the three broker queues a task waits in."""

    HIGH = "HIGH"
    NORMAL = "NORMAL"
    LOW = "LOW"


class Delivery(StrEnum):
    """How a subscriber's news arrives: LIVE by Redis, DEGRADED by polling MongoDB while Redis is away."""

    LIVE = "LIVE"
    DEGRADED = "DEGRADED"
