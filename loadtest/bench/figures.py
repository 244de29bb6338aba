"""What was measured, and what it comes to: medians, and ratios within each repeat, with their spread. Pure."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

SATURATED = 0.9
"""Share of its core that a server takes at least when nothing but itself is in its way."""


@dataclass(frozen=True)
class Turn:
    """One contestant's turn of one repeat: operations are requests answered, or messages delivered."""

    operations: int
    seconds: float
    processor_s: float
    """Of the contestant."""
    beside_s: float
    """Processor time of what stands beside it: of the load and the servers on the other core, or of the servers."""
    others: float = 0.0
    """Share of the machine that processes took which are no part of the bench."""

    @property
    def rate(self) -> float:
        """Operations a second."""
        return self.operations / self.seconds

    @property
    def cost_us(self) -> float:
        """Microseconds of the server's processor time an operation."""
        return self.processor_s / self.operations * 1e6


@dataclass(frozen=True)
class Spread:
    """A median, the least and the greatest."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, figures: Sequence[float]) -> "Spread":
        """Return what figures come to."""
        return cls(statistics.median(figures), min(figures), max(figures))


@dataclass
class Contest:
    """One measure, its contestants' turns in the order of the repeats, and what memory each was found to hold."""

    title: str
    operation: str
    turns: dict[str, list[Turn]] = field(default_factory=dict)
    memory_kb: dict[str, float] = field(default_factory=dict)
    memory_of: str = "process"
    has_cores: bool = True
    """Whether contestants have a core to themselves, and the load another one; else all share the machine."""

    def note(self, name: str, turn: Turn) -> None:
        """Add a turn."""
        self.turns.setdefault(name, []).append(turn)

    def rate(self, name: str) -> Spread:
        """Return operations a second."""
        return Spread.of([turn.rate for turn in self.turns[name]])

    def cost_us(self, name: str) -> Spread:
        """Return microseconds of the server's processor time an operation."""
        return Spread.of([turn.cost_us for turn in self.turns[name]])

    def busy(self, name: str) -> tuple[float, float]:
        """Return which share of their cores the server and the load took, by the median."""
        turns = self.turns[name]
        server = statistics.median(turn.processor_s / turn.seconds for turn in turns)
        return server, statistics.median(turn.beside_s / turn.seconds for turn in turns)

    def is_idle_at_times(self, name: str) -> bool:
        """Whether its server left its core idle, so that its rate is not its own limit."""
        return self.has_cores and self.busy(name)[0] < SATURATED

    def beside_us(self, name: str) -> Spread:
        """Return microseconds of processor time an operation of what stands beside it."""
        return Spread.of([turn.beside_s / turn.operations * 1e6 for turn in self.turns[name]])

    def others(self) -> Spread:
        """Return which share of the machine others took."""
        return Spread.of([turn.others for turns in self.turns.values() for turn in turns])

    def cost_ratio(self, name: str, other: str) -> Spread:
        """Return how many times its cost an operation costs another one, repeat by repeat."""
        pairs = zip(self.turns[name], self.turns[other], strict=True)
        return Spread.of([theirs.cost_us / ours.cost_us for ours, theirs in pairs])

    def ratio(self, name: str, other: str) -> Spread:
        """Return how many times the rate of another one it has, repeat by repeat."""
        pairs = zip(self.turns[name], self.turns[other], strict=True)
        return Spread.of([ours.rate / theirs.rate for ours, theirs in pairs])
