"""What a task costs where many are stored, and where many wait: the cost is to be flat."""

import argparse
import asyncio
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import aio_pika

from core.clock import utc_now
from core.documents import Task, TimelineEntry
from core.ids import new_id
from core.messages import TaskMessage, encode_message, queue_name
from core.publisher import QUORUM
from core.states import Priority, TaskStatus
from loadtest.bench.task_contestants import Headway, headway
from loadtest.bench.task_report import middle, rates, table
from loadtest.bench.task_world import Meter, Servers, Spent

MANY = 100_000
MEASURED = 1_000
BATCH = 2_000
LOOK_EVERY_S = 0.05
HEAD = ("", "tasks/s", "to that with few", "ms of processor a task: own", "servers")


def stored(count: int, status: TaskStatus) -> Sequence[dict[str, Any]]:
    """Return new tasks as they are stored: such as have ended, or such as wait for the message that the broker has."""
    now = utc_now()
    entry = TimelineEntry(epoch=1, n=1, at=now, attempt=0, status=status)
    first = Task.model_construct(
        kind="measured",
        owner="local",
        status=status,
        priority=Priority.NORMAL,
        input={"steps": 0, "lines": 0},
        max_attempts=3,
        timeout_s=600.0,
        created_at=now,
        status_at=now,
        published_at=now,
        timeline=[entry],
    )
    document = {**first.model_dump(exclude={"id"}), "progress": {"current": 0, "total": None, "message": None}}
    if status is TaskStatus.SUCCEEDED:
        document |= {"result": {"started": 0.0}, "finished_at": now}
    return [{**document, "_id": new_id()} for _ in range(count)]


async def publish(url: str, queue: str, documents: Sequence[dict[str, Any]]) -> None:
    """Hand the messages of these tasks to the broker, each confirmed."""
    connection = await aio_pika.connect(url)
    async with connection, connection.channel() as channel:
        await channel.declare_queue(queue, durable=True, arguments=dict(QUORUM))
        for begin in range(0, len(documents), BATCH):
            messages = [
                aio_pika.Message(
                    encode_message(TaskMessage(document["_id"], document["epoch"])),
                    delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
                    timestamp=document["published_at"],
                )
                for document in documents[begin : begin + BATCH]
            ]
            await asyncio.gather(*(channel.default_exchange.publish(message, queue) for message in messages))


@contextmanager
def held(headway: Headway) -> Iterator[None]:
    """Freeze the bridge meanwhile: what is published stays in the broker."""
    pid = headway.stack.processes().processes["bridge-1"].pid
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def store(headway: Headway, documents: Sequence[dict[str, Any]]) -> None:
    """Store tasks as they are."""
    for begin in range(0, len(documents), BATCH):
        headway.tasks.insert_many(documents[begin : begin + BATCH], ordered=False)


def queue(servers: Servers, headway: Headway, count: int) -> None:
    """Have so many tasks wait in the broker. The bridge is to be held."""
    documents = stored(count, TaskStatus.PENDING)
    store(headway, documents)
    asyncio.run(publish(servers.environment["AMQP_URL"], queue_name(headway.name, Priority.NORMAL), documents))


def drained(servers: Servers, headway: Headway, ended_then: int) -> Spent:
    """Return what it takes until so many tasks have ended."""
    meter = Meter(servers, frozenset({headway.stack.process.pid}))
    while headway.ended() < ended_then:
        time.sleep(LOOK_EVERY_S)
    ended = time.time()
    meter.stop()
    return meter.spent(ended)


def measure(servers: Servers, asked: argparse.Namespace, figures: dict[str, Any]) -> str:
    """Measure with few and with many tasks stored, then with few and with many waiting; return the tables."""
    many, count = (2_000, 100) if asked.quick else (MANY, MEASURED)
    with headway(servers) as small, headway(servers) as large:
        store(large, stored(many, TaskStatus.SUCCEEDED))
        runs: dict[str, list[Spent]] = {"few stored": [], f"{many:,} stored": []}
        for stack in (small, large):
            stack.together(count)
        for _ in range(asked.repeats):
            for one, stack in zip(runs.values(), (small, large), strict=True):
                one.append(stack.together(count))
    with headway(servers) as stack:
        waiting: dict[str, list[Spent]] = {f"{count:,} waiting": [], f"{many:,} waiting": []}
        for one, queued in zip(waiting.values(), (count, many), strict=True):
            for repeat in range(asked.repeats):
                ended_then = stack.ended() + count
                if repeat == 0 or queued == count:
                    with held(stack):
                        queue(servers, stack, queued)
                one.append(drained(servers, stack, ended_then))
    figures["growth"] = {name: [vars(one) for one in spent] for name, spent in (runs | waiting).items()}
    texts = ["## Growth: tasks stored, submit to done\n", _compared(runs, count)]
    return "\n".join([*texts, "## Growth: tasks waiting in RabbitMQ, drained\n", _compared(waiting, count)])


def _compared(runs: dict[str, list[Spent]], count: int) -> str:
    few, rows = rates(next(iter(runs.values())), count), []
    for name, spent in runs.items():
        own = rates(spent, count)
        costs = ([getattr(one, part) / count * 1e3 for one in spent] for part in ("own_s", "servers_s"))
        ratio = middle([one / other for one, other in zip(own, few, strict=True)], 2)
        rows.append((name, middle(own), ratio, *(middle(cost, 2) for cost in costs)))
    return table(HEAD, rows)
