"""What is true after a scenario: every promise checked on what MongoDB, Redis, RabbitMQ and the subscribers tell."""

import asyncio
import re
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from core.states import TERMINAL, Delivery, TaskStatus
from tests.faults.follower import Seen, Story
from tests.faults.load import Load
from tests.faults.world import NAMESPACE, World

SETTLE_WITHIN_S = 20.0
GAUGES = re.compile(r'^(headway_open_sockets|headway_running_operations\{operation="subscription"\}) ([0-9.]+)$', re.M)
ENDS = frozenset(status.value for status in TERMINAL)


@dataclass
class Verdict:
    """What came of one scenario. It holds if `broken` is empty."""

    lost: int = 0
    duplicated: int = 0
    live_s: list[float] = field(default_factory=list)
    degraded_s: list[float] = field(default_factory=list)
    cancel_s: list[float] = field(default_factory=list)
    resume_s: list[float] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def complain(self, what: str) -> None:
        """Note a broken promise."""
        self.broken.append(what)


async def judge(load: Load, stories: list[Story | None], *, may_lose_workers: bool = False) -> Verdict:
    """Check everything once all tasks have ended, or should have."""
    verdict = Verdict()
    seen_ids = set()
    async for document in load.world.tasks.find({"_id": {"$in": list(load.sorts)}}):
        seen_ids.add(document["_id"])
        _judge_task(verdict, load, document, may_lose_workers)
    for task_id in load.sorts.keys() - seen_ids:
        verdict.lost += 1
        verdict.complain(f"{task_id} is not stored")
    for story in stories:
        if story is None:
            verdict.complain("a subscriber never saw an end")
        else:
            _judge_story(verdict, story)
    await _judge_leftovers(verdict, load.world)
    return verdict


def _judge_task(verdict: Verdict, load: Load, task: dict[str, Any], may_lose_workers: bool) -> None:
    sort, timeline = load.sorts[task["_id"]], task["timeline"]
    name = f"{sort.name} {task['_id']}"
    ends = [entry for entry in timeline if entry["status"] in ENDS]
    if task["status"] not in ENDS:
        verdict.lost += 1
        verdict.complain(f"{name} is still {task['status']}")
        return
    if len(ends) != 1:
        verdict.duplicated += 1
        verdict.complain(f"{name} has {len(ends)} ends")
    lost_worker = may_lose_workers and (task.get("error") or {}).get("code") == "WORKER_LOST"
    if TaskStatus(task["status"]) not in sort.ends and not lost_worker:
        verdict.complain(f"{name} ended {task['status']}: {task.get('error')}")
    cursors = [(entry["epoch"], entry["n"]) for entry in timeline]
    if any(later <= earlier for earlier, later in pairwise(cursors)):
        verdict.complain(f"{name} has a timeline out of order: {cursors}")
    if task["lease"] or task["claim"]:
        verdict.complain(f"{name} has ended and is still leased")
    _judge_fence(verdict, name, task, ends[-1], [entry for entry in timeline if entry["status"] == "RUNNING"])
    asked, told = load.cancelled_at.get(task["_id"]), [e for e in timeline if e["status"] == "CANCELLING"]
    if asked and told:
        verdict.cancel_s.append(max(0.0, told[0]["at"].timestamp() - asked))


def _judge_fence(
    verdict: Verdict, name: str, task: dict[str, Any], end: dict[str, Any], runs: list[dict[str, Any]]
) -> None:
    """A result is the last attempt's own, and was written by the worker that ran it."""
    if task["status"] != "SUCCEEDED":
        return
    if (end["by"], end["epoch"], end["attempt"]) != (runs[-1]["by"], runs[-1]["epoch"], runs[-1]["attempt"]):
        verdict.complain(f"{name} was ended by another attempt than its last")
    if task["result"]["attempts"] != runs[-1]["attempt"]:
        verdict.complain(f"{name} has the result of attempt {task['result']['attempts']} of {runs[-1]['attempt']}")


def _judge_story(verdict: Verdict, story: Story) -> None:
    verdict.resume_s += story.resumed_after_s
    if story.errors:
        verdict.complain(f"a subscriber of {story.task_id} was refused: {story.errors}")
    ends = [seen for seen in story.seen if seen.status.is_terminal]
    if len(ends) != 1:
        verdict.duplicated += len(ends) > 1
        verdict.complain(f"a subscriber of {story.task_id} saw {len(ends)} ends")
    for earlier, later in pairwise(story.seen):
        if earlier.connection == later.connection and later.cursor <= earlier.cursor:
            verdict.complain(f"{story.task_id}: {later.cursor} came after {earlier.cursor}")
        if earlier.connection == later.connection and _fell_back(earlier, later):
            verdict.complain(f"{story.task_id}: the bar fell from {earlier.current} to {later.current}")
    if not story.is_slow:
        _measure(verdict, story)


def _fell_back(earlier: Seen, later: Seen) -> bool:
    return earlier.attempt == later.attempt and later.current < earlier.current


def _measure(verdict: Verdict, story: Story) -> None:
    """Take the age of each progress when it came first, but for what a connection begins with."""
    known: set[str] = set()
    for earlier, seen in pairwise([None, *story.seen]):
        assert seen is not None
        is_first = earlier is None or earlier.connection != seen.connection
        if seen.message and seen.message not in known and not is_first:
            ages = verdict.live_s if seen.delivery is Delivery.LIVE else verdict.degraded_s
            ages.append(seen.at - float(seen.message))
        if seen.message:
            known.add(seen.message)


async def _judge_leftovers(verdict: Verdict, world: World) -> None:
    """Nothing is left; what expires by itself within seconds is waited for."""
    give_up = time.monotonic() + SETTLE_WITHIN_S
    while left := await _leftovers(world):
        if time.monotonic() > give_up:
            verdict.broken += left
            return
        await asyncio.sleep(0.5)


async def _leftovers(world: World) -> list[str]:
    left = []
    counts = Counter([key.decode().rsplit(":", 2)[0] async for key in world.redis.scan_iter("arq:*-*-*:*", count=1000)])
    left += [f"{count} keys {prefix} are left" for prefix, count in counts.items()]
    if waiting := await world.redis.zcard(f"arq:queue:{NAMESPACE}"):
        left.append(f"{waiting} jobs are left in arq's queue")
    if channels := await world.redis.pubsub_channels(f"{NAMESPACE}:events:*"):
        left.append(f"{len(channels)} channels are left")
    lengths = await world.queue_lengths()
    left += [f"{count} messages are left in {name}" for name, count in lengths.items() if count and "dead" not in name]
    for url in world.gateway_urls():
        metrics = (await world.http.get(f"{url}/metrics")).text
        left += [f"{name} is {value}" for name, value in GAUGES.findall(metrics) if float(value)]
    return left
