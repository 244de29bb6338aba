"""Tables of what was measured, and their place in docs/performance.md."""

import re
from collections.abc import Sequence
from pathlib import Path

from loadtest.bench.contestants import OURS
from loadtest.bench.figures import Contest, Spread


def table(contest: Contest) -> str:
    """Return a Markdown table, the fastest first."""
    memory = "KB a follower" if contest.memory_of == "follower" else "MB resident"
    lines = [
        f"| contestant | {contest.operation}s/s | Headway's rate in units of it | µs of processor time a "
        f"{contest.operation} | its time in units of Headway's | {memory} | busy: its core / the load's |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    names = sorted(contest.turns, key=lambda name: -contest.rate(name).median)
    return "\n".join([*lines, *(_row(contest, name) for name in names)])


def _row(contest: Contest, name: str) -> str:
    server, load = contest.busy(name)
    held = contest.memory_kb[name]
    memory = f"{held:.0f}" if contest.memory_of == "follower" else f"{held / 1024:.0f}"
    faster = cheaper = "1" if name == OURS else "-"
    if name != OURS and OURS in contest.turns:
        faster = _spread(contest.ratio(OURS, name), ".2f")
        cheaper = _spread(contest.cost_ratio(OURS, name), ".2f")
    cells = (
        f"**{name}**" if name == OURS else name,
        _spread(contest.rate(name), ",.0f"),
        faster,
        _spread(contest.cost_us(name), ",.1f"),
        cheaper,
        memory,
        f"{server:.0%} / {load:.0%}" + (" *" if contest.is_idle_at_times(name) else ""),
    )
    return f"| {' | '.join(cells)} |"


def _spread(found: Spread, form: str) -> str:
    return f"{found.median:{form}} ({found.least:{form}} to {found.most:{form}})"


def section(contests: Sequence[Contest], charts: Sequence[str], facts: str) -> str:
    """Return the Markdown of a part: what it hangs on, its charts, then a table a contest."""
    pieces = [facts, *(f"![{contest.title}]({chart})" for contest, chart in zip(contests, charts, strict=True))]
    for contest in contests:
        pieces += [f"**{contest.title}**", table(contest)]
    if any(contest.is_idle_at_times(name) for contest in contests for name in contest.turns):
        pieces.append(
            "\\* It left its core idle at times: something else was in its way, so its rate is not its own limit."
        )
    return "\n\n".join(pieces)


def put(page: Path, part: str, text: str) -> None:
    """Write a part's section into a page, between the two comments that mark its place. Raises ValueError without."""
    begin, end = f"<!-- bench {part} -->", f"<!-- end of bench {part} -->"
    old = page.read_text(encoding="utf-8")
    marked = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not marked.search(old):
        raise ValueError(f"expected {begin} and {end} in {page}")
    page.write_text(marked.sub(lambda _: f"{begin}\n{text}\n{end}", old), encoding="utf-8")
