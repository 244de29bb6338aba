"""What the parts of the bench share: how much is measured, whose turn it is, and what one turn came to."""

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from loadtest.bench.figures import Contest, Turn
from loadtest.bench.machine import busy_s
from loadtest.bench.servers import Bench, Server

Operate = Callable[[float], tuple[int, float]]
"""From how long to measure to the operations that were done, and how long those took."""


class Named(Protocol):
    """A contestant, or one that runs."""

    @property
    def name(self) -> str:
        """What tables call it."""
        ...


N = TypeVar("N", bound=Named)
T = TypeVar("T")


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    repeats: int
    seconds: float
    """Of one turn."""
    warm_up_s: float
    followers: tuple[int, ...]
    is_quick: bool = False
    """Whether it is only to be seen that everything works."""
    only: tuple[str, ...] = ()
    """Parts of the names of those that take part; empty is everybody."""
    measures: tuple[str, ...] = ()
    """The names of what is measured in a part; empty is everything."""
    python: str = sys.executable
    """What runs the peers that are written in Python."""

    def chosen(self, everybody: Sequence[N]) -> list[N]:
        """Return those that take part."""
        wanted = [word.lower() for word in self.only]
        return [one for one in everybody if not wanted or any(word in one.name.lower() for word in wanted)]

    def wants(self, *measures: str) -> bool:
        """Whether one of these is to be measured."""
        return not self.measures or any(measure in self.measures for measure in measures)


class Others:
    """Which share of the machine others take from now on, beside the processor time that is ours."""

    def __init__(self) -> None:
        self._busy, self._since = busy_s(), time.perf_counter()

    def share(self, ours_s: float) -> float:
        """Return the share."""
        of_all = (time.perf_counter() - self._since) * (os.cpu_count() or 1)
        return max(0.0, busy_s() - self._busy - ours_s) / of_all


def measured(bench: Bench, server: Server, operate: Operate, seconds: float) -> Turn:
    """Return what one turn came to."""
    others, load, processor = Others(), bench.load_s(), server.processor_s()
    operations, took = operate(seconds)
    own, beside = server.processor_s() - processor, bench.load_s() - load
    return Turn(operations, took, own, beside, others.share(own + beside))


def in_turns(everybody: Sequence[T], repeats: int) -> Iterator[T]:
    """Yield each once a repeat, another one first each time."""
    for repeat in range(repeats):
        first = repeat % len(everybody)
        yield from [*everybody[first:], *everybody[:first]]


def say(contest: Contest) -> None:
    """Print what is known as soon as it is."""
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {contest.title}\n")
    for name in contest.turns:
        rate, cost, (server, load) = contest.rate(name), contest.cost_us(name), contest.busy(name)
        figures = f"{rate.median:>10,.0f} {contest.operation}s/s, {cost.median:,.1f} µs each"
        sys.stdout.write(f"  {name:<34}{figures}; it {server:.0%}, the rest {load:.0%} of a core\n")
    sys.stdout.flush()
