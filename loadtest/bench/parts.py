"""What the parts of the bench share: how much is measured, whose turn it is, and what one turn came to."""

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from loadtest.bench.contestants import Contestant
from loadtest.bench.figures import Contest, Turn
from loadtest.bench.servers import Bench, Server

Operate = Callable[[float], tuple[int, float]]
"""From how long to measure to the operations that were done, and how long those took."""


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    repeats: int
    seconds: float
    """Of one turn."""
    warm_up_s: float
    followers: tuple[int, ...]
    only: tuple[str, ...] = ()
    """Parts of the names of those that take part; empty is everybody."""

    def chosen(self, everybody: list[Contestant]) -> list[Contestant]:
        """Return those that take part."""
        wanted = [word.lower() for word in self.only]
        return [one for one in everybody if not wanted or any(word in one.name.lower() for word in wanted)]


def measured(bench: Bench, server: Server, operate: Operate, seconds: float) -> Turn:
    """Return what one turn came to."""
    load, processor = bench.load_busy_s(), server.processor_s()
    operations, took = operate(seconds)
    return Turn(operations, took, server.processor_s() - processor, bench.load_busy_s() - load)


def in_turns(servers: list[Server], repeats: int) -> Iterator[Server]:
    """Yield each server once a repeat, another one first each time."""
    for repeat in range(repeats):
        first = repeat % len(servers)
        yield from servers[first:] + servers[:first]


def say(contest: Contest) -> None:
    """Print what is known as soon as it is."""
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {contest.title}\n")
    for name in contest.turns:
        rate, cost, (server, load) = contest.rate(name), contest.cost_us(name), contest.busy(name)
        figures = f"{rate.median:>10,.0f} {contest.operation}s/s, {cost.median:,.1f} µs each"
        sys.stdout.write(f"  {name:<34}{figures}; cores {server:.0%} and {load:.0%} busy\n")
    sys.stdout.flush()
