"""What a task costs where many are stored, and where many wait: the cost is to be flat."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import aio_pika
import bson
from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument

from core.clock import utc_now
from core.documents import Task, TimelineEntry
from core.ids import new_id
from core.messages import TaskMessage, encode_messages, queue_name
from core.publisher import QUORUM
from core.states import Priority, TaskStatus
from loadtest.bench.figures import Spread, Turn
from loadtest.bench.parts import Plan, in_turns
from loadtest.bench.report import rows_of, spread
from loadtest.bench.results import Found
from loadtest.bench.task_contestants import Headway, headway
from loadtest.bench.task_world import Meter, Servers, processor_s

STORED = (0, 100_000, 1_000_000)
QUEUED = (6_000, 100_000)
"""The few are what is run while it is measured."""
MEASURED = 1_500
SETTLE_S, WINDOW_S = 1.0, 2.5
CALM, CALM_WITHIN_S = 0.2, 60
"""The servers are calm if they take so little of a core, which is waited for so long (seconds)."""
BATCH = 5_000
TEMPLATE_ID = UUID(int=0)
UUIDS: CodecOptions[Any] = CodecOptions(uuid_representation=UuidRepresentation.STANDARD, tz_aware=True)
RAW = UUIDS.with_options(document_class=RawBSONDocument)


def template(status: TaskStatus) -> bytes:
    """Return a task as it is stored: one that has ended, or one that waits for the message that the broker has."""
    now = utc_now()
    entry = TimelineEntry(epoch=1, n=1, at=now, attempt=0, status=status)
    task = Task.model_construct(
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
    document = {"_id": TEMPLATE_ID, **task.model_dump(exclude={"id"})}
    document["progress"] = {"current": 0, "total": None, "message": None}
    if status is TaskStatus.SUCCEEDED:
        document |= {"result": {"started": 0.0}, "finished_at": now}
    return bson.encode(document, codec_options=UUIDS)


def store(headway: Headway, count: int, status: TaskStatus) -> list[UUID]:
    """Store so many new tasks with the gateway's own indexes; return their ids."""
    before, _, after = template(status).partition(TEMPLATE_ID.bytes)
    task_ids = [new_id() for _ in range(count)]

    def insert(begin: int) -> None:
        documents = [RawBSONDocument(before + one.bytes + after, RAW) for one in task_ids[begin : begin + BATCH]]
        headway.tasks.insert_many(documents, ordered=False)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(insert, range(0, count, BATCH)))
    return task_ids


async def publish(url: str, queue: str, task_ids: Sequence[UUID]) -> None:
    """Hand the messages of these tasks to the broker, each confirmed."""
    now, connection = utc_now(), await aio_pika.connect(url)
    async with connection, connection.channel() as channel:
        await channel.declare_queue(queue, durable=True, arguments=dict(QUORUM))
        for begin in range(0, len(task_ids), BATCH):
            messages = [
                aio_pika.Message(
                    encode_messages([TaskMessage(task_id, 1)]),
                    delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
                    timestamp=now,
                )
                for task_id in task_ids[begin : begin + BATCH]
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


def queue(servers: Servers, headway: Headway, count: int) -> None:
    """Have so many more tasks wait in the broker; the bridge is held only while they are published."""
    task_ids = store(headway, count, TaskStatus.PENDING)
    with held(headway):
        asyncio.run(publish(servers.environment["AMQP_URL"], queue_name(headway.name, Priority.NORMAL), task_ids))


def await_calm(servers: Servers) -> None:
    """Wait until the servers have put away what they were given, which is no part of what a task costs."""
    for _ in range(CALM_WITHIN_S):
        before = processor_s(servers.pids)
        time.sleep(1)
        if processor_s(servers.pids) - before < CALM:
            return


def measure_stored(servers: Servers, plan: Plan) -> Found:
    """Measure from submit to done with none, with some and with many tasks stored, in turns."""
    counts = (0, 1_000) if plan.is_quick else STORED
    count = 50 if plan.is_quick else MEASURED
    turns: dict[int, list[Turn]] = {stored: [] for stored in counts}
    with ExitStack() as ending:
        stacks = {stored: ending.enter_context(headway(servers)) for stored in counts}
        for stored, stack in stacks.items():
            store(stack, stored, TaskStatus.SUCCEEDED)
            await_calm(servers)
            stack.together(count)
        for stored in in_turns(counts, plan.repeats):
            turns[stored].append(stacks[stored].together(count))
    return _compared("stored", 5, "Tasks stored; a task from submit to done", turns)


def measure_queued(servers: Servers, plan: Plan) -> Found:
    """Measure how the bridge and the worker get on with few and with many tasks waiting in RabbitMQ, in turns."""
    few, many = (2_500, 3_500) if plan.is_quick else QUEUED
    turns: dict[int, list[Turn]] = {few: [], many: []}
    with headway(servers) as small, headway(servers) as large:
        for waiting in in_turns((few, many), plan.repeats):
            stack, other = (small, large) if waiting == few else (large, small)
            queue(servers, stack, waiting - stack.open())
            with held(other):
                turns[waiting].append(_window(servers, stack, 1.0 if plan.is_quick else WINDOW_S))
    return _compared("queued", 6, "Tasks waiting in RabbitMQ; a task from there to done", turns)


def _window(servers: Servers, stack: Headway, seconds: float) -> Turn:
    """Return what the tasks took that ended within a while. They are counted afterwards: that costs the servers too."""
    time.sleep(SETTLE_S)
    meter = Meter(servers, stack.pids)
    time.sleep(seconds)
    until = time.time()
    turn = meter.stop(1, until)
    began, ended = (datetime.fromtimestamp(moment, UTC) for moment in (meter.began, until))
    count = stack.tasks.count_documents({"status": "SUCCEEDED", "status_at": {"$gte": began, "$lt": ended}})
    return replace(turn, operations=max(1, count))


def _compared(name: str, order: int, title: str, turns: Mapping[int, Sequence[Turn]]) -> Found:
    """Return the table, and how many times its cost with the fewest a task has with the most."""
    fewest, most = min(turns), max(turns)
    rows = []
    for count, each in turns.items():
        own, beside = (
            [seconds / turn.operations * 1e6 for turn, seconds in zip(each, spent, strict=True)]
            for spent in ([turn.processor_s for turn in each], [turn.beside_s for turn in each])
        )
        figures = ([turn.rate for turn in each], own, beside)
        ratio = spread(_ratio(each, turns[fewest]), 2)
        rows.append((f"{count:,}", *(spread(Spread.of(one)) for one in figures), ratio))
    head = ("tasks", "a second", "µs of processor time a task", "µs of the servers' a task", "both to the first")
    text = f"**{title}**\n\n{rows_of(head, rows)}"
    return Found("tasks", name, order, text, {f"growth {name}": _ratio(turns[most], turns[fewest])}, figures=turns)


def _ratio(ones: Sequence[Turn], others: Sequence[Turn]) -> Spread:
    pairs = zip(map(_cost, ones), map(_cost, others), strict=True)
    return Spread.of([one / other for one, other in pairs])


def _cost(turn: Turn) -> float:
    return (turn.processor_s + turn.beside_s) / turn.operations
