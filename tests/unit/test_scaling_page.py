"""docs/scaling.md: its arithmetic follows from the costs that it says were measured."""

import math
import re
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "scaling.md").read_text(encoding="utf-8")
FOLLOWERS = (10**3, 10**5, 10**7)
TASKS_A_SECOND = 1 / 60


def cells(head: str) -> dict[str, list[str]]:
    """Return the rows of the table that has this head, by their first cells."""
    body = re.search(rf"^\| {re.escape(head)} \|\n\|[-|]+\n((?:\|.+\n)+)", PAGE, re.MULTILINE)
    assert body is not None, head
    rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in body[1].splitlines())
    return {name: values for name, *values in rows}


def shown(value: float) -> str:
    """Return a figure as the page writes it."""
    return f"{value:.2f}" if value < 1 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def whole(values: list[float]) -> list[str]:
    """Return how many are needed, as the page writes it."""
    return [f"{math.ceil(value):,}" for value in values]


def test_arithmetic_follows_from_the_units() -> None:
    units = {
        name: [int(cell.replace(",", "")) for cell in row]
        for name, row in cells("process | µs a task | µs an event").items()
    }
    cores = {
        name: [count * (TASKS_A_SECOND * task + event) / 1e6 for count in FOLLOWERS]
        for name, (task, event) in units.items()
    }
    expected = {
        "frames a second, and events through Redis": [f"{count:,}" for count in FOLLOWERS],
        "submits a second (followers ÷ 60)": [f"{count * TASKS_A_SECOND:,.0f}" for count in FOLLOWERS],
        **{f"cores of {name}": [shown(value) for value in row] for name, row in cores.items()},
        "gateways by cores (÷ 0.6)": whole([value / 0.6 for value in cores["gateway"]]),
        "gateways by connections (÷ 8,000)": whole([count / 8_000 for count in FOLLOWERS]),
        "nginx workers (÷ 5,000)": whole([count / 5_000 for count in FOLLOWERS]),
        "workers of 100 slots (a slot a task)": whole([count / 100 for count in FOLLOWERS]),
        "memory of followers, GB (29 KB)": [shown(count * 29e3 / 1e9) for count in FOLLOWERS],
    }
    assert cells("| 10^3 | 10^5 | 10^7") == expected
    assert sum(row[0] for row in cores.values()) < 1
