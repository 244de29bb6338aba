"""How tasks are matched by status and moment, so that an index on both is read only where it matches."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from core.states import TaskStatus

EARLIEST = datetime.fromtimestamp(0, UTC)
"""Before all moments that are stored. A partial index that holds what is later serves a query that says so too."""


def with_moment(statuses: Iterable[TaskStatus], field: str, moments: Mapping[str, Any]) -> dict[str, Any]:
    """Match tasks that have one of these statuses and such a moment in this field.

    Each status is a range of the index (status, field), in order. With `$in` MongoDB may walk through all tasks of the
    statuses instead, which are as many as wait, or as have ended.
    """
    return {"$or": [{"status": status.value, field: moments} for status in sorted(statuses)]}


def until(moment: datetime) -> dict[str, Any]:
    """Return what a stored moment up to this one meets."""
    return {"$gt": EARLIEST, "$lte": moment}
