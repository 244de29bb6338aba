"""One scenario from its load to its verdict."""

import time
from collections.abc import Callable

from core.documents import Task
from tests.faults.load import Load
from tests.faults.report import Row
from tests.faults.scenarios import SCENARIOS
from tests.faults.stories import hear
from tests.faults.verdict import Verdict, judge_leftovers, judge_tasks
from tests.faults.world import World

END_WITHIN_S = 300.0
REST_WITHIN_S = 20.0
"""For subscribers, slow ones too, and cancels, once every task has ended."""
LOSE_EVENTS = frozenset({"worker_killed_before_it_told", "redis_emptied", "redis_away"})
"""Where Redis is frozen, emptied or away: progress may be lost, and a subscriber that wants every event is told so."""


def quietly(_: str) -> None:
    """Say nothing."""


async def run_scenario(
    world: World, name: str, tasks: int, followers: int, say: Callable[[str], None] = quietly
) -> Row:
    """Submit, hurt, wait for all ends, and judge; `say` takes a line at each step."""
    await world.until_ready()
    load = Load(world)
    try:
        return await _run(load, name, tasks, followers, say)
    finally:
        await load.aclose()


async def _run(load: Load, name: str, tasks: int, followers: int, say: Callable[[str], None]) -> Row:
    began = time.monotonic()
    await load.submit(tasks, followers)
    await load.until_busy()
    in_flight = await load.in_flight()
    say(f"{name}: {in_flight:,} of {len(load.sorts):,} tasks in flight, {len(load.following)} subscribers")
    verdict, detected_s = Verdict(), None
    try:
        detected_s = await SCENARIOS[name](load)
    except TimeoutError:
        verdict.complain("what the scenario waited for did not come")
    say(f"{name}: done after {time.monotonic() - began:.0f} s; waiting for {await load.in_flight():,} tasks")
    await load.until_ended(END_WITHIN_S)
    took_s = time.monotonic() - began
    await _judge(verdict, load, name)
    await load.world.tasks.delete_many({})
    say(f"{name}: judged after {time.monotonic() - began:.0f} s")
    return Row(name, len(load.sorts), in_flight, len(load.following), detected_s, took_s, verdict)


async def _judge(verdict: Verdict, load: Load, name: str) -> None:
    verdict.broken += [f"a cancel failed: {what}" for what in await load.cancelled(REST_WITHIN_S)]
    verdict.broken += await load.shown(REST_WITHIN_S)
    stories = await load.stories(REST_WITHIN_S)
    tasks = [Task.model_validate(stored) async for stored in load.world.tasks.find({})]
    judge_tasks(verdict, load, tasks)
    timelines = {str(task.id): task.timeline for task in tasks}
    verdict.hearing = hear(stories, timelines, may_miss_progress=name in LOSE_EVENTS)
    verdict.duplicated += verdict.hearing.duplicated
    verdict.broken += verdict.hearing.broken
    if load.astray is not None and (await load.astray).errors != ["NOT_FOUND"]:
        verdict.complain(f"a subscriber of no task was told {load.astray.result().errors}")
    await judge_leftovers(verdict, load.world)
