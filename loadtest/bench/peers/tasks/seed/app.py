"""The seed: FastAPI takes a task, Celery runs it, every state is stored in MongoDB, progress goes over Redis pub/sub.

It promises what its parts can: messages are confirmed and acknowledged after the work, writes are in MongoDB's journal.
Nothing publishes again what was stored and not sent, nothing fences a task that two workers got, and nothing is told
again to a follower that was away.
"""

import json
import os
import sys
import time
import uuid
from datetime import UTC, datetime
from typing import Any

import redis
from celery import Celery
from celery.signals import worker_process_init, worker_ready
from fastapi import FastAPI
from pydantic import BaseModel
from pymongo import AsyncMongoClient, MongoClient

NAME = os.environ["BENCH_NAME"]

celery = Celery(NAME, broker=os.environ["AMQP_URL"])
celery.conf.update(
    broker_transport_options={"confirm_publish": True},
    task_acks_late=True,
    task_default_queue=NAME,
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
)
api = FastAPI()
tasks = AsyncMongoClient(os.environ["MONGO_URL"], journal=True)[NAME]["tasks"]
stores: dict[str, Any] = {}


class Wanted(BaseModel):
    """A task that does nothing and tells its progress so often."""

    steps: int = 0


def change(status: str, **fields: Any) -> dict[str, Any]:
    """Return the update to a status."""
    now = datetime.now(UTC)
    return {
        "$set": {"status": status, "status_at": now, **fields},
        "$push": {"timeline": {"status": status, "at": now}},
    }


@api.get("/ready")
async def ready() -> str:
    """Answer, with the index that the states are counted by."""
    await tasks.create_index([("status", 1), ("_id", 1)])
    return "ready"


@api.post("/tasks")
async def submit(wanted: Wanted) -> dict[str, str]:
    """Store a task, send it to the workers and say so."""
    task_id, now = str(uuid.uuid4()), datetime.now(UTC)
    first = {"status": "PENDING", "status_at": now, "timeline": [{"status": "PENDING", "at": now}]}
    await tasks.insert_one({"_id": task_id, "input": wanted.model_dump(), "created_at": now, **first})
    run.apply_async((task_id, wanted.steps), task_id=task_id)
    await tasks.update_one({"_id": task_id, "status": "PENDING"}, change("QUEUED"))
    return {"id": task_id, "status": "QUEUED"}


@worker_ready.connect
def say_ready(**_: Any) -> None:
    """Tell the bench in the log."""
    sys.stdout.write("ready.\n")
    sys.stdout.flush()


@worker_process_init.connect
def open_stores(**_: Any) -> None:
    """Connect each of the forked processes by itself."""
    stores["tasks"] = MongoClient(os.environ["MONGO_URL"], journal=True)[NAME]["tasks"]
    stores["redis"] = redis.Redis.from_url(os.environ["REDIS_URL"])


@celery.task(name="run")
def run(task_id: str, steps: int) -> None:
    """Do nothing, and say so."""
    started = time.time()
    stores["tasks"].update_one({"_id": task_id}, change("RUNNING", started_at=datetime.now(UTC)))
    for step in range(steps):
        stores["redis"].publish(f"{NAME}:{task_id}", json.dumps({"current": step + 1, "total": steps}))
    result = {"result": {"started": started}, "progress": {"current": steps, "total": steps}}
    stores["tasks"].update_one({"_id": task_id}, change("SUCCEEDED", finished_at=datetime.now(UTC), **result))
