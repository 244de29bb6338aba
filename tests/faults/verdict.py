"""What is true after a scenario: every promise checked on what MongoDB, Redis, RabbitMQ and the subscribers tell."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from core.documents import Task, TimelineEntry
from core.states import TERMINAL, TaskStatus
from tests.faults.load import Load
from tests.faults.stories import Hearing
from tests.faults.world import NAMESPACE, World

SETTLE_WITHIN_S = 20.0
GAUGES = (
    "headway_open_sockets",
    "headway_relay_watched_tasks",
    "headway_relay_subscribers",
    "headway_relay_boards",
)
RUNNING = 'headway_running_operations{operation="subscription"}'
"""Missing from a gateway that has not seen a subscription since it was started."""


@dataclass
class Verdict:
    """What came of one scenario. It holds if `broken` is empty."""

    lost: int = 0
    duplicated: int = 0
    cancel_s: list[float] = field(default_factory=list)
    hearing: Hearing = field(default_factory=Hearing)
    broken: list[str] = field(default_factory=list)

    def complain(self, what: str) -> None:
        """Note a broken promise."""
        self.broken.append(what)


def judge_tasks(verdict: Verdict, load: Load, tasks: Sequence[Task]) -> None:
    """Check what is stored of every task."""
    for task in tasks:
        if task.id in load.sorts:
            _judge_task(verdict, load, task)
        elif task.idempotency_key is not None:
            verdict.duplicated += 1
            verdict.complain(f"{task.id} came of a submit that was answered with another task")
    for task_id in load.sorts.keys() - {task.id for task in tasks}:
        verdict.lost += 1
        verdict.complain(f"{task_id} is not stored")


def _judge_task(verdict: Verdict, load: Load, task: Task) -> None:
    sort = load.sorts[task.id]
    name = f"{sort.name} {task.id}"
    ends = [entry for entry in task.timeline if entry.status.is_terminal]
    if task.status not in TERMINAL:
        verdict.lost += 1
        verdict.complain(f"{name} is still {task.status}")
        return
    if len(ends) != 1:
        verdict.duplicated += 1
        verdict.complain(f"{name} has {len(ends)} ends")
    if task.status not in sort.ends:
        verdict.complain(f"{name} ended {task.status}: {task.error}")
    cursors = [entry.cursor for entry in task.timeline]
    if any(later <= earlier for earlier, later in pairwise(cursors)):
        verdict.complain(f"{name} has a timeline out of order: {cursors}")
    if task.lease or task.claim:
        verdict.complain(f"{name} has ended and is still leased")
    _judge_fence(verdict, name, task, ends[-1])
    told = [entry.at for entry in task.timeline if entry.status is TaskStatus.CANCELLING]
    if task.cancel_requested_at and told:
        verdict.cancel_s.append(max(0.0, (told[0] - task.cancel_requested_at).total_seconds()))


def _judge_fence(verdict: Verdict, name: str, task: Task, end: TimelineEntry) -> None:
    """A result is the last attempt's own, and was written by the worker that ran it."""
    if task.status is not TaskStatus.SUCCEEDED:
        return
    run = [entry for entry in task.timeline if entry.status is TaskStatus.RUNNING][-1]
    if (end.by, end.epoch, end.attempt) != (run.by, run.epoch, run.attempt):
        verdict.complain(f"{name} was ended by another attempt than its last")
    if task.result is None or task.result["attempts"] != run.attempt:
        verdict.complain(f"{name} has the result {task.result} of attempt {run.attempt}")


async def judge_leftovers(verdict: Verdict, world: World) -> None:
    """Nothing is left; what expires by itself within seconds is waited for."""
    give_up = time.monotonic() + SETTLE_WITHIN_S
    while left := [*await _left_in_redis(world), *await _left_in_gateways(world), *await _left_in_rabbitmq(world)]:
        if time.monotonic() > give_up:
            verdict.broken += left
            return
        await asyncio.sleep(0.5)


async def _left_in_redis(world: World) -> list[str]:
    left = []
    counts = Counter([key.decode().rsplit(":", 2)[0] async for key in world.redis.scan_iter("arq:*-*-*:*", count=1000)])
    left += [f"{count} keys {prefix} are left" for prefix, count in counts.items()]
    async for queue in world.redis.scan_iter(f"arq:queue:{NAMESPACE}*", _type="zset"):
        left.append(f"{await world.redis.zcard(queue)} jobs are left in {queue.decode()}")
    if channels := await world.redis.pubsub_channels(f"{NAMESPACE}:events:*"):
        left.append(f"{len(channels)} channels are left")
    streams = [key async for key in world.redis.scan_iter(f"{NAMESPACE}:events:*", count=1000)]
    async with world.redis.pipeline(transaction=False) as pipe:
        for stream in streams:
            pipe.ttl(stream)
        if forever := sum(ttl < 0 for ttl in await pipe.execute()):
            left.append(f"{forever} streams would stay for ever")
    return left


async def _left_in_gateways(world: World) -> list[str]:
    left = []
    for url in world.gateway_urls():
        lines = (await world.http.get(f"{url}/metrics")).text.splitlines()
        told = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        counts = {RUNNING: told.get(RUNNING, "0"), **{name: told[name] for name in GAUGES}}
        left += [f"{name} is {count}" for name, count in counts.items() if float(count)]
    return left


async def _left_in_rabbitmq(world: World) -> list[str]:
    return [
        f"{queue.ready} messages are ready and {queue.unsettled} unsettled in {queue.name}"
        for queue in await world.servers.queues()
        if queue.ready or queue.unsettled
    ]
