"""The tables of the task path in Markdown: medians with their spread, and ratios taken within each repeat."""

import math
import os
import platform
import statistics
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from loadtest.bench.task_world import Servers, Spent

OURS = "Headway"
Runs = Mapping[str, Sequence[Spent]]
"""By contestant, one each repeat; `steps` and the like are kept apart by the caller. `counts` are the tasks of each."""


def middle(figures: Sequence[float], digits: int = 0) -> str:
    """Return the median with the least and the most."""
    least, most = min(figures), max(figures)
    return f"{statistics.median(figures):,.{digits}f} ({least:,.{digits}f} to {most:,.{digits}f})"


def percentile(figures: Sequence[float], percent: float) -> float:
    """Return the figure that `percent` of them are not above (nearest rank)."""
    ordered = sorted(figures)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def rates(runs: Sequence[Spent], count: int) -> list[float]:
    """Return the tasks a second of each repeat."""
    return [count / run.seconds for run in runs]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def throughput(runs: Runs, counts: Mapping[str, int]) -> str:
    """Return the table of one load: tasks a second, the ratio to ours, and what a task takes."""
    head = ("contestant", "tasks/s", "ours to its", "ms of processor a task: own", "servers")
    ours = rates(runs[OURS], counts[OURS]) if OURS in runs else []
    rows = []
    for name, spent in runs.items():
        own = rates(spent, counts[name])
        ratio = middle([one / other for one, other in zip(ours, own, strict=True)], 2) if ours else "-"
        cost = [[seconds / counts[name] * 1e3 for seconds in each] for each in zip(*map(_costs, spent), strict=True)]
        rows.append((name, middle(own), ratio, middle(cost[0], 2), middle(cost[1], 2)))
    return table(head, rows)


def _costs(spent: Spent) -> tuple[float, float]:
    return spent.own_s, spent.servers_s


def starts(took: Mapping[str, Sequence[Sequence[float]]]) -> str:
    """Return the table of how long a task takes to start; the spread is that of the repeats."""
    rows = [
        (name, *(middle([percentile(one, percent) * 1e3 for one in repeats], 1) for percent in (50, 99)))
        for name, repeats in took.items()
    ]
    return table(("contestant", "p50 ms", "p99 ms"), rows)


def heading(command: str, servers: Servers) -> str:
    """Return when, where and by what command."""
    processor = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), ""
    )
    return (
        f"`{command}` on {datetime.now(UTC):%d %B %Y}, {os.cpu_count()} cores ({processor}), Python "
        f"{platform.python_version()}, {servers.database} for MongoDB.\n"
    )


def _lines(path: str) -> list[str]:
    with open(path, encoding="utf-8") as file:
        return file.read().splitlines()
