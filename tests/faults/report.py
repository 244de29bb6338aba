"""The table of measured faults, for a terminal and for docs/faults.md."""

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from core.clock import utc_now
from tests.faults.load import percentile
from tests.faults.verdict import Verdict

HEADING = (
    "scenario", "tasks", "in flight", "subscribers", "lost", "duplicated", "broken", "detected s", "all done s",
    "live p50/p99 ms", "degraded p50/p99 ms", "resume p50/max ms", "cancel p50/p99 ms",
)  # fmt: skip
NOTHING = "-"
BROKEN_SHOWN = 5
"""Broken promises of one scenario that the page names."""


@dataclass(frozen=True)
class Bound:
    """What was promised of a time: the limit in seconds, and what it is called."""

    name: str
    limit_s: float

    def missed(self, seconds: float | None) -> list[str]:
        """Return in words by how much it was missed, nothing if it was met."""
        if seconds is None or seconds <= self.limit_s:
            return []
        return [f"{self.name} took {seconds:,.2f} s, at most {self.limit_s:g} s are promised"]


TAKEOVER = Bound("the takeover", 15.0)
RESUME = Bound("coming back after a broken connection", 1.0)
LIVE = Bound("live progress (p99)", 0.1)
DEGRADED = Bound("degraded progress (p99)", 2.5)
CANCEL = Bound("a cancel (p99)", 0.25)


@dataclass(frozen=True)
class Row:
    """What came of one scenario. `detected_s` is None where there is nothing to detect."""

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

    @property
    def title(self) -> str:
        """The scenario's name for people."""
        return self.name.replace("_", " ")

    def cells(self) -> list[str]:
        """Return the row's cells in the order of the heading."""
        verdict, hearing = self.verdict, self.verdict.hearing
        return [
            self.title,
            f"{self.tasks:,}",
            f"{self.in_flight:,}",
            f"{self.followers:,}",
            str(verdict.lost),
            str(verdict.duplicated),
            str(len(verdict.broken)),
            NOTHING if self.detected_s is None else f"{self.detected_s:.1f}",
            f"{self.took_s:.0f}",
            _spread(hearing.live_s, 0.99),
            _spread(hearing.degraded_s, 0.99),
            _spread(hearing.resume_s, 1.0),
            _spread(verdict.cancel_s, 0.99),
        ]

    def missed(self) -> list[str]:
        """Return in words which bounds were missed."""
        verdict, hearing = self.verdict, self.verdict.hearing
        return [
            *TAKEOVER.missed(self.detected_s),
            *RESUME.missed(max(hearing.resume_s, default=None)),
            *LIVE.missed(percentile(hearing.live_s, 0.99)),
            *DEGRADED.missed(percentile(hearing.degraded_s, 0.99)),
            *CANCEL.missed(percentile(verdict.cancel_s, 0.99)),
        ]


def _spread(seconds: Sequence[float], share: float) -> str:
    middle, most = percentile(seconds, 0.5), percentile(seconds, share)
    return NOTHING if middle is None or most is None else f"{middle * 1000:,.0f} / {most * 1000:,.0f}"


def table(rows: Sequence[Row], *, heading: bool = True) -> str:
    """Return the rows as a Markdown table."""
    lines = [HEADING, ["---"] * len(HEADING)] if heading else []
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (*lines, *(row.cells() for row in rows)))


def page(rows: Sequence[Row], tasks: int, followers: int, mongodb: str, unmeasured: Collection[str]) -> str:
    """Return docs/faults.md; `mongodb` is the server's name, `unmeasured` are the scenarios that have no row."""
    memory_gb = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    broken = [f"* {row.title}: {what}" for row in rows for what in row.verdict.broken[:BROKEN_SHOWN]]
    missed = [f"* {row.title}: {what}" for row in rows for what in row.missed()]
    return PAGE.format(
        date=f"{utc_now():%Y-%m-%d %H:%M} UTC",
        machine=f"{os.cpu_count()} cores, {memory_gb:.0f} GB",
        command=f"python -m tests.faults --tasks {tasks} --followers {followers}",
        table=table(rows),
        broken="\n".join(broken) or "Nothing: no task was lost, none ended twice, and nobody was told anything wrong.",
        missed="\n".join(missed) or "None.",
        mongodb=mongodb,
        unmeasured=", ".join(name.replace("_", " ") for name in unmeasured) or "nothing",
    )


PAGE = """\
# Faults, measured

Two gateways, two bridges and two workers run as processes of their own on a MongoDB-protocol server, Valkey and
RabbitMQ. Tasks of all sorts (short, long, with checkpoints, CPU-bound, failing, cancelled while they wait and while
they run) are submitted, half of them in batches, and followed over WebSocket through both gateways. Half of the
subscribers take `taskProgress`; the others take `taskEvents` and go on from their last cursor, at the other replica,
after a break. A board on each gateway takes `tasksChanged`. While all that is in flight something is broken.
`make faults` does it again and prints this table; `make bench-setup` builds the fast server first.

Measured {date} on one machine for everything, subscribers included: {machine}. MongoDB-protocol server: `{mongodb}`.
Command: `{command}`. Not measured here: {unmeasured}.

{table}

* **in flight**: tasks that had not ended at the moment of the fault.
* **lost**: tasks that had not ended five minutes later. **duplicated**: tasks, or subscribers, with two ends.
* **broken**: broken promises of any kind. Beside those two: the end of a task is not what it should be; a result is
  not of the task's last attempt, or was written by another worker; a cancel got no answer; a subscriber saw no end or
  was not told that this was all, saw a cursor that did not rise, or a bar that fell within an attempt; one that wants
  every event missed a change of status, got something twice, or was told of a gap where neither Redis nor a worker
  had failed; a board shows a task as not ended; something is left over (a lease, a key of arq, a stream without an
  expiry, a channel, a message that is ready or unsettled in RabbitMQ, a socket, a watched task or a subscriber in a
  gateway).
* **detected**: from the fault to the moment when nothing is left in the hands of who was hit.
* **live, degraded**: from the call of `progress` in the task to its arrival at the subscriber, by how it came. What
  was said before the connection told anything is left out.
* **resume**: from the break of a subscriber's connection (or from the progress, if that was made later) to its first
  news over the next one.
* **cancel**: from the recording of the wish to the event CANCELLING of a running task. There are about 45 in a
  scenario, so the p99 is the slowest one; those that fall into an outage are among them.

## What did not hold

{broken}

## Bounds that were missed

Promised are: takeover within 15 s, back within 1 s after a gateway's death, live progress within 100 ms (p99),
degraded within 2.5 s, CANCELLING within 250 ms (p99).

{missed}

## How to read it

* Where neither `mongod` nor `secantusd-rs` is found the suite runs on `secantusd-py`, a MongoDB-protocol server in
  Python: it shows as well that nothing is lost, but it is the bottleneck. Each write costs it 4 to 9 ms, it keeps one
  of two cores busy from the first submit to the last end, and what waits for MongoDB, such as changes of status and
  cancels, waits for that: cancels took 0.6 to 1 s (p50) and a scenario 220 to 380 s (measured 2026-11-24).
* What an outage of Redis does to cancels is by design: the wish is stored, its notice is lost, and the worker's beat
  finds it within 3 s. During an outage of MongoDB nothing can be stored, CANCELLING neither.
* The slow readers' own ages are left out of their row; the others' are in it.
* What shows best that an acknowledged write outlives a `kill -9` of MongoDB is
  `tests/integration/core/test_durability.py`, because by the time of the kill in "mongodb killed" most tasks are on
  disk in any case, and "mongodb away" stops the server in good order. Without journaled writes `secantusd-py` lost 58
  of 900 inserts that it had acknowledged just before its death, and `secantusd-rs` lost 121 of 900 journaled ones
  without `--sync-on-commit`, with which it is started here.
"""
