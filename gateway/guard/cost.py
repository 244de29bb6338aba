"""A cost as a short program: what depends on no variable is added up once, the rest is a few steps a request.

Every step is computed once, however often its outcome is used, so fragments that double each other cost nothing to
evaluate. Numbers are in tenths of a cost and end at MANY.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from gateway.guard.shape import MANY

PARTS = 10
"""Of one cost: the unit in which weights such as 0.1 are whole numbers."""


@dataclass(frozen=True)
class Slot:
    """The outcome of a step of the same program."""

    index: int


Term = int | Slot
"""What a step takes: a number known beforehand, or a step's outcome."""


class Step(Protocol):
    """One computation; `outcomes` are those of the steps before it."""

    def run(self, outcomes: Sequence[int], variables: Mapping[str, Any]) -> int: ...


@dataclass(frozen=True)
class Size:
    """How many entries a variable asks for: a number, or a list's length; `unset` if it says nothing usable."""

    variable: str
    unset: int
    most: int

    def run(self, outcomes: Sequence[int], variables: Mapping[str, Any]) -> int:
        return min(self.most, size_of(variables.get(self.variable), self.unset))


@dataclass(frozen=True)
class Sum:
    """A number and outcomes, added up."""

    known: int
    slots: tuple[int, ...]

    def run(self, outcomes: Sequence[int], variables: Mapping[str, Any]) -> int:
        return min(MANY, self.known + sum([outcomes[slot] for slot in self.slots]))


@dataclass(frozen=True)
class Product:
    """A number times outcomes."""

    known: int
    slots: tuple[int, ...]

    def run(self, outcomes: Sequence[int], variables: Mapping[str, Any]) -> int:
        product = self.known
        for slot in self.slots:
            product *= outcomes[slot]
        return min(MANY, product)


@dataclass(frozen=True)
class Greatest:
    """The greatest of a number and outcomes."""

    known: int
    slots: tuple[int, ...]

    def run(self, outcomes: Sequence[int], variables: Mapping[str, Any]) -> int:
        return max(self.known, *[outcomes[slot] for slot in self.slots])


def size_of(value: object, unset: int) -> int:
    """Return how many entries a slicing argument's value asks for."""
    if isinstance(value, list):
        return len(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return min(MANY, max(value, 0))
    return unset


@dataclass
class Program:
    """Steps in their order, and how to add to them. What is constant never becomes a step."""

    steps: list[Step] = field(default_factory=list)

    def size(self, variable: str, unset: int, most: int) -> Term:
        """Return how many entries a variable asks for."""
        return self._add(Size(variable, unset, most))

    def sum(self, terms: Iterable[Term]) -> Term:
        """Return the terms' sum."""
        known, slots = _split(terms)
        total = min(MANY, sum(known))
        if len(slots) == 1 and total == 0:
            return Slot(slots[0])
        return self._add(Sum(total, slots)) if slots else total

    def product(self, one: Term, other: Term) -> Term:
        """Return one times the other."""
        known, slots = _split((one, other))
        factor = 1
        for number in known:
            factor *= number
        if not slots or factor == 0:
            return min(MANY, factor)
        return Slot(slots[0]) if len(slots) == 1 and factor == 1 else self._add(Product(factor, slots))

    def greatest(self, terms: Iterable[Term]) -> Term:
        """Return the greatest term, 0 if there is none."""
        known, slots = _split(terms)
        least = max(known, default=0)
        return self._add(Greatest(least, slots)) if slots else least

    def _add(self, step: Step) -> Slot:
        self.steps.append(step)
        return Slot(len(self.steps) - 1)

    def run(self, term: Term, variables: Mapping[str, Any]) -> int:
        """Return a term's value in tenths, for these values of the variables, which need not be of the right type."""
        if isinstance(term, int):
            return term
        outcomes: list[int] = []
        for step in self.steps[: term.index + 1]:
            outcomes.append(step.run(outcomes, variables))
        return outcomes[term.index]


def _split(terms: Iterable[Term]) -> tuple[list[int], tuple[int, ...]]:
    """Return the numbers and the places of the outcomes among the terms."""
    known: list[int] = []
    slots: list[int] = []
    for term in terms:
        if isinstance(term, int):
            known.append(term)
        else:
            slots.append(term.index)
    return known, tuple(slots)
