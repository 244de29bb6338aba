"""The table of measured faults, for a terminal and for docs/faults.md."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from core.clock import utc_now
from tests.faults.load import percentile
from tests.faults.verdict import Verdict

HEADING = (
    "scenario", "tasks", "in flight", "subscribers", "lost", "duplicated", "broken", "detected s", "all done s",
    "live p50/p99 ms", "degraded p50/p99 ms", "resume max ms", "cancel p99 ms",
)  # fmt: skip

NOTHING = "-"


@dataclass(frozen=True)
class Row:
    """What came of one scenario."""

    name: str
    tasks: int
    in_flight: int
    followers: int
    detected_s: float | None
    took_s: float
    verdict: Verdict

    @classmethod
    def of_failure(cls, name: str, why: BaseException) -> "Row":
        """Return the row of a scenario that could not be played to its end."""
        verdict = Verdict()
        verdict.complain(f"the scenario itself failed: {type(why).__name__}: {why}"[:1_000])
        return cls(name, 0, 0, 0, None, 0.0, verdict)

    def cells(self) -> list[str]:
        """Return the row's cells in the order of the heading."""
        verdict = self.verdict
        return [
            self.name.replace("_", " "),
            f"{self.tasks:,}",
            f"{self.in_flight:,}",
            f"{self.followers:,}",
            str(verdict.lost),
            str(verdict.duplicated),
            str(len(verdict.broken)),
            NOTHING if self.detected_s is None else f"{self.detected_s:.1f}",
            f"{self.took_s:.0f}",
            _spread(verdict.hearing.live_s),
            _spread(verdict.hearing.degraded_s),
            _ms(max(verdict.hearing.resume_s, default=None)),
            _ms(percentile(verdict.cancel_s, 0.99)),
        ]


def _ms(seconds: float | None) -> str:
    return NOTHING if seconds is None else f"{seconds * 1000:,.0f}"


def _spread(seconds: Sequence[float]) -> str:
    return f"{_ms(percentile(seconds, 0.5))} / {_ms(percentile(seconds, 0.99))}" if seconds else NOTHING


def table(rows: Sequence[Row], *, heading: bool = True) -> str:
    """Return the rows as a Markdown table."""
    lines = [HEADING, ["---"] * len(HEADING)] if heading else []
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (*lines, *(row.cells() for row in rows)))


def page(rows: Sequence[Row], tasks: int, followers: int) -> str:
    """Return docs/faults.md."""
    memory_gb = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    broken = [f"* {row.name.replace('_', ' ')}: {what}" for row in rows for what in row.verdict.broken[:5]]
    return PAGE.format(
        date=f"{utc_now():%Y-%m-%d %H:%M} UTC",
        machine=f"{os.cpu_count()} cores, {memory_gb:.0f} GB",
        command=f"python -m tests.faults --tasks {tasks} --followers {followers}",
        table=table(rows),
        broken="\n".join(broken) or "Nothing: every promise held.",
    )


PAGE = """\
# Faults, measured

Two gateways, two bridges and two workers run as processes of their own on a MongoDB-protocol server, Valkey and
RabbitMQ. Tasks of all sorts are submitted and followed over WebSocket through both gateways; while they are in flight
something is broken. `make faults` does it again and prints this table.

Measured {date} on one machine for everything, subscribers included: {machine}. Command: `{command}`.

{table}

* **lost**: tasks that had not ended five minutes later. **duplicated**: tasks, or subscribers, with two ends.
* **broken**: broken promises of any kind. Beside those two: the end of a task is not what it should be; a result is not
  of the task's last attempt, or was written by another worker; a subscriber saw no end, a cursor that did not rise, or
  a bar that fell within an attempt; something is left over (a lease, a key of arq, a message, a channel, a subscriber).
* **detected**: from the fault to the moment when nothing is left in the hands of who was hit.
* **live, degraded**: from the call of `progress` in the task to its arrival at the subscriber, by how it came. What a
  connection begins with is left out.
* **resume**: from the break of a subscriber's connection to its first news over the next one.
* **cancel**: from the recording of the wish to the event CANCELLING of a running task.

## What did not hold

{broken}
"""
