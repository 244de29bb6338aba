"""A Pydantic field's constraints as numbers and in words."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import annotated_types as at
from pydantic import StringConstraints
from pydantic.fields import FieldInfo


@dataclass(frozen=True)
class Constraints:
    """What a field's value must keep to. A bound is inclusive unless its `_open` says otherwise."""

    least: float | None = None
    most: float | None = None
    least_open: bool = False
    most_open: bool = False
    shortest: int | None = None
    longest: int | None = None
    pattern: str | None = None
    multiple_of: float | None = None
    counted: str = "characters"

    @property
    def words(self) -> str:
        """The constraints as a phrase, empty where there are none: `1 to 10,000`, `at most 200 characters`."""
        parts = []
        if self.least is not None or self.most is not None:
            parts.append(self._range_words())
        if self.shortest is not None or self.longest is not None:
            parts.append(f"{_span(self.shortest or None, self.longest)} {self.counted}")
        if self.pattern is not None:
            parts.append(f"matching {self.pattern}")
        if self.multiple_of is not None:
            parts.append(f"a multiple of {_number(self.multiple_of)}")
        return ", ".join(parts)

    @property
    def sentence(self) -> str:
        """The constraints as a sentence of their own, empty where there are none."""
        words = self.words
        return f"{words[0].upper()}{words[1:]}." if words else ""

    def _range_words(self) -> str:
        if not self.least_open and not self.most_open:
            return _span(self.least, self.most)
        least = "" if self.least is None else f"{'more than' if self.least_open else 'at least'} {_number(self.least)}"
        most = "" if self.most is None else f"{'less than' if self.most_open else 'at most'} {_number(self.most)}"
        return " and ".join(part for part in (least, most) if part)


def read_constraints(metadata: Iterable[Any], *, counted: str = "characters") -> Constraints:
    """Return the constraints that a field's metadata spells; of what it does not know it says nothing."""
    constraints = Constraints(counted=counted)
    for mark in metadata:
        constraints = _with(constraints, mark)
    return constraints


def _with(constraints: Constraints, mark: Any) -> Constraints:
    if isinstance(mark, FieldInfo):
        for inner in mark.metadata:
            constraints = _with(constraints, inner)
        return constraints
    if isinstance(mark, at.GroupedMetadata) and not isinstance(mark, StringConstraints):
        for inner in mark:
            constraints = _with(constraints, inner)
        return constraints
    changes = {
        "least": _first(mark, "ge", "gt"),
        "most": _first(mark, "le", "lt"),
        "shortest": _first(mark, "min_length"),
        "longest": _first(mark, "max_length"),
        "pattern": _first(mark, "pattern"),
        "multiple_of": _first(mark, "multiple_of"),
    }
    opened = {
        "least_open": True if _first(mark, "gt") is not None else None,
        "most_open": True if _first(mark, "lt") is not None else None,
    }
    return replace(constraints, **{key: value for key, value in (changes | opened).items() if value is not None})


def _first(mark: Any, *names: str) -> Any:
    return next((value for name in names if (value := getattr(mark, name, None)) is not None), None)


def _span(least: float | None, most: float | None) -> str:
    if least is None:
        return f"at most {_number(most)}"
    return f"at least {_number(least)}" if most is None else f"{_number(least)} to {_number(most)}"


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}" if isinstance(value, float) else str(value)
