"""The task path: from a submit over HTTP through RabbitMQ to the stored end, beside what one would pick instead."""

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from loadtest.bench import task_growth, task_progress, watched
from loadtest.bench.figures import Contest, Spread
from loadtest.bench.goals import EVENTS, THROUGH
from loadtest.bench.parts import Plan, in_turns, say
from loadtest.bench.report import found, percentile, rows_of, spread
from loadtest.bench.results import Found
from loadtest.bench.servers import Bench
from loadtest.bench.task_contestants import ENTRIES, OURS, Entry
from loadtest.bench.task_world import Servers, running_servers

MEASURES = ("through", "starts", "progress", "growth", "stored", "queued", "watched")
"""Growth is what the three after it are."""
QUEUES = ("Queues that store no states, a task that does nothing", "Queues, with 10 progress events each")
LINES = f"{OURS}, with 10 log lines"
STEPS = 10
QUICK = 0.05
"""Of the tasks of a whole turn."""
WARM_UP = 0.1
CALM_S = 2.0
"""Between a load and what is measured of an idle system: progress is stored once a second, and lost work looked for."""


@dataclass
class _Through:
    """What contestants that store states did, what the queues did, and how long tasks took to start."""

    stored: dict[int, Contest] = field(default_factory=lambda: _contests(THROUGH, EVENTS))
    queues: dict[int, Contest] = field(default_factory=lambda: _contests(*QUEUES))
    starts: dict[str, list[list[float]]] = field(default_factory=dict)


def _contests(*titles: str) -> dict[int, Contest]:
    return {steps: Contest(title, "task", has_cores=False) for steps, title in zip((0, STEPS), titles, strict=True)}


def tasks(bench: Bench, plan: Plan) -> Iterator[Found]:
    """Yield what was measured. Raises ProcessFailed, ServerNotFound, NoAnswer and CrowdFailed."""
    with bench.cores.shared(), running_servers(bench.folder / "tasks") as servers:
        bench.database = servers.database
        if plan.wants("through", "starts"):
            yield from _compare(servers, plan)
        if plan.wants("progress"):
            yield task_progress.measure(servers, plan)
        if plan.wants("growth", "stored"):
            yield task_growth.measure_stored(servers, plan)
        if plan.wants("growth", "queued"):
            yield task_growth.measure_queued(servers, plan)
    if plan.wants("growth", "watched"):
        yield watched.measure(bench, plan)


def _compare(servers: Servers, plan: Plan) -> Iterator[Found]:
    through = _Through()
    for entry in in_turns(plan.chosen(ENTRIES), plan.repeats):
        _turn(entry, servers, plan, through)
    if plan.wants("through"):
        for name, order, contests in (("through", 1, through.stored), ("queues", 2, through.queues)):
            taking_part = [contest for contest in contests.values() if contest.turns]
            for contest in taking_part:
                say(contest)
            yield found("tasks", name, order, taking_part)
    if plan.wants("starts"):
        yield _starts(through.starts)


def _turn(entry: Entry, servers: Servers, plan: Plan, through: _Through) -> None:
    """Have one contestant do all loads, and note what it did where it belongs: ours stands in all tables."""
    share = QUICK if plan.is_quick else 1
    count = max(20, int(entry.count * share))
    kinds = [through.stored] if entry.stores else [through.queues]
    if entry.name == OURS:
        kinds = [through.stored, through.queues]
    with entry.start(servers) as contestant:
        contestant.together(max(10, int(count * WARM_UP)))
        if plan.wants("through"):
            for steps in (0, STEPS):
                turn, held = contestant.together(count, steps=steps), contestant.memory_kb()
                for contests in kinds:
                    contests[steps].note(entry.name, turn)
                    contests[steps].memory_kb[entry.name] = held
            if entry.name == OURS:
                through.stored[STEPS].note(LINES, contestant.together(count, lines=STEPS))
                through.stored[STEPS].memory_kb[LINES] = contestant.memory_kb()
        if plan.wants("starts"):
            time.sleep(CALM_S)
            took = contestant.alone(5 if plan.is_quick else entry.alone)
            through.starts.setdefault(entry.name, []).append(took)
    sys.stdout.write(f"{entry.name} has had its turn\n")
    sys.stdout.flush()


def _starts(took: dict[str, list[list[float]]]) -> Found:
    figures = {
        name: [Spread.of([percentile(one, percent) * 1e3 for one in repeats]) for percent in (50, 99)]
        for name, repeats in took.items()
    }
    title = "**Submit to the start of the task, an idle system**"
    rows = [(name, *(spread(each, 1) for each in two)) for name, two in figures.items()]
    measures = dict(zip(("start p50", "start p99"), figures.get(OURS, []), strict=False))
    text = f"{title}\n\n{rows_of(('contestant', 'p50 ms', 'p99 ms'), rows)}"
    return Found("tasks", "starts", 3, text, measures, figures=took)
