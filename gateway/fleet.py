"""The fleet at a glance: what waits, and who is at work, of the tasks that one may see."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core import backlog
from core.backlog import Backlog
from core.clock import utc_now
from core.documents import Task
from core.states import HELD, Priority

WORKERS = 100


@dataclass(frozen=True)
class BusyWorker:
    """A worker that holds tasks: how many, and when it last gave a sign of life."""

    name: str
    tasks: int
    seen_at: datetime | None


@dataclass(frozen=True)
class Fleet:
    """What was found at one moment."""

    timestamp: datetime
    backlog: list[Backlog]
    workers: list[BusyWorker]


async def look(visible: Mapping[str, Any]) -> Fleet:
    """Look at the tasks that MongoDB's filter `visible` lets through. Raises PyMongoError."""
    waiting = [await backlog.measure(priority, visible) for priority in Priority]
    workers = await _busy_workers(visible)
    return Fleet(utc_now(), waiting, workers)


async def _busy_workers(visible: Mapping[str, Any]) -> list[BusyWorker]:
    pipeline: list[dict[str, Any]] = [
        {"$match": {**visible, "status": {"$in": sorted(HELD)}, "lease": {"$ne": None}}},
        {"$group": {"_id": "$lease.worker", "tasks": {"$sum": 1}, "seen_at": {"$max": "$worker_seen_at"}}},
        {"$sort": {"_id": 1}},
        {"$limit": WORKERS},
    ]
    found = await Task.get_pymongo_collection().aggregate(pipeline)
    return [BusyWorker(each["_id"], each["tasks"], each["seen_at"]) async for each in found]
