"""What an event costs a gateway where few and where many tasks are watched: the cost is to be flat."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

from loadtest.bench.contestants import GATEWAY, QUIET, Contestant
from loadtest.bench.figures import Contest, Spread, Turn
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
LOOKS_S = 2.0
"""How often a gateway compares what it watches with what is stored; a turn has as many looks as the rest before it."""
HEAD = (
    "tasks",
    "events/s",
    "µs of processor time an event",
    "to the first",
    "at rest, % of a core",
    "all told, µs an event",
)


def measure(bench: Bench, plan: Plan) -> Found:
    """Have each of so many tasks followed by one, and tell one of them of events. Raises CrowdFailed, ProcessFailed.

    Pings and looks at what is stored go on without events: what a gateway takes at rest is taken off an event's cost.
    """
    names = {count: f"{count:,}" for count in ((1, 50) if plan.is_quick else WATCHED)}
    contest = Contest("Tasks watched by one gateway", "event", memory_of="follower")
    at_rest = Contest("The same at rest", "rest")
    with ExitStack() as stack:
        even = plan if plan.is_quick else replace(plan, seconds=max(plan.seconds, 2 * LOOKS_S))
        scene = Scene(bench, even, contest, stack)
        for count, name in names.items():
            scene.enter([Contestant(name, GATEWAY, QUIET | PATIENT, is_headway=True)], count, count, told=1)
        scene.take_turns(AHEAD, at_rest)
    costs = {name: costs_us(contest.turns[name], at_rest.turns[name]) for name in names.values()}
    fewest, most = costs[names[min(names)]], costs[names[max(names)]]
    rows = []
    for name, cost in costs.items():
        resting = Spread.of([turn.processor_s / turn.seconds * 100 for turn in at_rest.turns[name]])
        figures = (Spread.of(cost), 1), (_ratio(cost, fewest), 2), (resting, 1), (contest.cost_us(name), 1)
        rows.append((name, spread(contest.rate(name)), *(spread(figure, digits) for figure, digits in figures)))
    text = f"**{contest.title}, each followed by one; events of one of them**\n\n{rows_of(HEAD, rows)}"
    measures = {"growth watched": _ratio(most, fewest)}
    return Found("tasks", "watched", 7, text, measures, figures={"turns": contest, "at rest": at_rest})


def costs_us(turns: Sequence[Turn], rests: Sequence[Turn]) -> list[float]:
    """Return microseconds of processor time an event, without what each turn's rest says that the time itself costs."""
    shares = [rest.processor_s / rest.seconds for rest in rests]
    spent_s = [turn.processor_s - share * turn.seconds for turn, share in zip(turns, shares, strict=True)]
    return [spent / turn.operations * 1e6 for turn, spent in zip(turns, spent_s, strict=True)]


def _ratio(costs: Sequence[float], others: Sequence[float]) -> Spread:
    return Spread.of([one / other for one, other in zip(costs, others, strict=True)])
