"""What an event costs a gateway where few and where many tasks are watched: the cost is to be flat."""

from contextlib import ExitStack

from loadtest.bench.contestants import GATEWAY, QUIET, Contestant
from loadtest.bench.figures import Contest
from loadtest.bench.follow_part import Scene
from loadtest.bench.parts import Plan
from loadtest.bench.report import rows_of, spread
from loadtest.bench.results import Found
from loadtest.bench.servers import Bench

WATCHED = (1, 1_000, 10_000)
AHEAD = 64
"""Events under way: so many that the gateway always has some, and not more than it keeps of a task."""
PATIENT = {"HEADWAY_INIT_TIMEOUT_S": "60", "HEADWAY_PING_TIMEOUT_S": "120"}
"""So many join as fast as they can that some wait for longer than usual, as do the followers that joined before them:
whoever answers their pings stores ten thousand tasks meanwhile."""
HEAD = ("tasks", "events/s", "µs of processor time an event", "to the first")


def measure(bench: Bench, plan: Plan) -> Found:
    """Have each of so many tasks followed by one, and tell one of them of events. Raises CrowdFailed, ProcessFailed."""
    names = {count: f"{count:,}" for count in ((1, 50) if plan.is_quick else WATCHED)}
    contest = Contest("Tasks watched by one gateway", "event", memory_of="follower")
    with ExitStack() as stack:
        scene = Scene(bench, plan, contest, stack)
        for count, name in names.items():
            scene.enter([Contestant(name, GATEWAY, QUIET | PATIENT, is_headway=True)], count, count, told=1)
        scene.take_turns(AHEAD)
    fewest, most = names[min(names)], names[max(names)]
    rows = []
    for name in names.values():
        ratio = contest.cost_ratio(fewest, name)
        rows.append((name, spread(contest.rate(name)), spread(contest.cost_us(name), 1), spread(ratio, 2)))
    text = f"**{contest.title}, each followed by one; events of one of them**\n\n{rows_of(HEAD, rows)}"
    measures = {"growth watched": contest.cost_ratio(fewest, most)}
    return Found("tasks", "watched", 7, text, measures, figures=contest)
