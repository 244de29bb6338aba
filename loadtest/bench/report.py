"""Tables of what was measured, in Markdown: medians with the least and the greatest. Pure."""

import math
import re
from collections.abc import Iterable, Sequence

from loadtest.bench.chart import chart
from loadtest.bench.contestants import OURS
from loadtest.bench.figures import Contest, Spread
from loadtest.bench.results import Found

IDLE = "\\* It left its core idle at times: something else was in its way, so its rate is not its own limit."


def spread(found: Spread, digits: int = 0) -> str:
    """Return a median with the least and the greatest."""
    form = f",.{digits}f"
    return f"{found.median:{form}} ({found.least:{form}} to {found.most:{form}})"


def percentile(figures: Sequence[float], percent: float) -> float:
    """Return the figure that `percent` of them are not above (nearest rank)."""
    ordered = sorted(figures)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def rows_of(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table."""
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rows))


def table(contest: Contest) -> str:
    """Return the table of a contest, the fastest first."""
    operation, is_crowd = contest.operation, contest.memory_of == "follower"
    head = [
        "contestant",
        f"{operation}s/s",
        "Headway's rate in units of it",
        f"µs of processor time a {operation}",
        "its time in units of Headway's",
        "KB a follower" if is_crowd else "MB resident",
        "busy: its core / the load's" if contest.has_cores else f"µs of the servers' a {operation}",
    ]
    names = sorted(contest.turns, key=lambda name: -contest.rate(name).median)
    return rows_of(head, (_row(contest, name) for name in names))


def _row(contest: Contest, name: str) -> tuple[str, ...]:
    held = contest.memory_kb[name]
    faster = cheaper = "1" if name == OURS else "-"
    if name != OURS and OURS in contest.turns:
        faster, cheaper = spread(contest.ratio(OURS, name), 2), spread(contest.cost_ratio(OURS, name), 2)
    return (
        f"**{name}**" if name == OURS else name,
        spread(contest.rate(name)),
        faster,
        spread(contest.cost_us(name), int(contest.has_cores)),
        cheaper,
        f"{held:.0f}" if contest.memory_of == "follower" else f"{held / 1024:.0f}",
        _beside(contest, name),
    )


def _beside(contest: Contest, name: str) -> str:
    if not contest.has_cores:
        return spread(contest.beside_us(name))
    server, load = contest.busy(name)
    return f"{server:.0%} / {load:.0%}" + (" *" if contest.is_idle_at_times(name) else "")


def found(part: str, name: str, order: int, contests: Sequence[Contest]) -> Found:
    """Return what came of a measure's contests: a chart and a table each, and Headway's rates beside all others'."""
    charts = {f"bench-{part}-{_slug(contest.title)}.svg": chart(contest) for contest in contests}
    pieces = [f"![{contest.title}](img/{file})" for contest, file in zip(contests, charts, strict=True)]
    for contest in contests:
        pieces += [f"**{contest.title}**", table(contest)]
    if any(contest.is_idle_at_times(name) for contest in contests for name in contest.turns):
        pieces.append(IDLE)
    pieces.append("Others took " + ", ".join(_others(contest) for contest in contests) + " of the machine.")
    measures = {key: value for contest in contests for key, value in _measures(contest).items()}
    return Found(part, name, order, "\n\n".join(pieces), measures, charts, contests)


def _others(contest: Contest) -> str:
    others = contest.others()
    return f"{others.median:.0%} ({others.least:.0%} to {others.most:.0%})"


def _measures(contest: Contest) -> dict[str, Spread]:
    measures = {}
    if OURS in contest.turns:
        for name in contest.turns:
            measures[f"{contest.title}: {name}"] = contest.ratio(OURS, name)
            measures[f"{contest.title}: {name}, processor time"] = contest.cost_ratio(OURS, name)
        measures[f"{contest.title}: KB"] = Spread.of([contest.memory_kb[OURS]])
    return measures


def _slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.replace(",", "").lower()).strip("-")
