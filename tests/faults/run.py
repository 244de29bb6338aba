"""One scenario from its load to its verdict."""

import time

from tests.faults.load import Load
from tests.faults.report import Row
from tests.faults.scenarios import SCENARIOS
from tests.faults.verdict import judge
from tests.faults.world import World

END_WITHIN_S = 300.0
STORIES_WITHIN_S = 15.0
LOSE_WORKERS = frozenset({"each_and_any_killed"})
"""Where a task may meet the death of three workers, and then rightly fails."""


async def run_scenario(world: World, name: str, tasks: int, followers: int) -> Row:
    """Submit, hurt, wait for all ends, and judge."""
    await world.until_ready()
    load = Load(world)
    began = time.monotonic()
    await load.submit(tasks, followers)
    await load.until_busy()
    in_flight = await load.in_flight()
    detected_s, unnoticed = None, False
    try:
        detected_s = await SCENARIOS[name](load)
    except TimeoutError:
        unnoticed = True
    await load.until_ended(END_WITHIN_S)
    took_s = time.monotonic() - began
    stories = await load.stories(STORIES_WITHIN_S)
    verdict = await judge(load, stories, may_lose_workers=name in LOSE_WORKERS)
    if unnoticed:
        verdict.complain("what the scenario waited for did not come")
    if load.astray is not None and (await load.astray).errors != ["NOT_FOUND"]:
        verdict.complain(f"a subscriber of no task was told {load.astray.result().errors}")
    await world.tasks.delete_many({})
    return Row(name, len(load.sorts), in_flight, len(load.following), detected_s, took_s, verdict)
