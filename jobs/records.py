"""Reading records out of a CSV or NDJSON file, each with the line it starts on; a bad one stops no other.

The file is given as its lines, with their ends as they are, and is never held whole.

Knows how values are spelled, not what they mean: which of them make an item is the business of the kind that reads.
"""

import csv
import json
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from core.errors import shown

TEXT_COLUMNS = frozenset({"name", "description"})
_PLAIN_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?")
_EXACT_DIGITS = 15
"""Decimal digits that a double surely keeps (IEEE 754 binary64: 15)."""


class UnreadableFile(ValueError):
    """The file as a whole makes no sense; the message says what was expected."""


class UnreadableRecord(ValueError):
    """One record makes no sense; the message says what was expected."""


@dataclass(frozen=True)
class Record:
    """One record, read or not. `line` is the physical line of the file on which it starts, from 1."""

    line: int
    outcome: dict[str, Any] | UnreadableRecord

    @property
    def values(self) -> dict[str, Any]:
        """The values by their names. Raises UnreadableRecord if the record could not be read."""
        if isinstance(self.outcome, UnreadableRecord):
            raise self.outcome
        return self.outcome


def read_csv_header(lines: Iterable[str]) -> list[str]:
    """Return the names of the columns, with white space around them cut off. Raises UnreadableFile.

    Blank lines above the header are skipped.
    """
    return _read_header(csv.reader(iter(lines), strict=True))


class _Lines:
    """A file's lines, of which those of the record under way can be read again, all but the first."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self._again: deque[str] = deque()
        self._taken: list[str] = []
        self.number = 0

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._lines)
        self._taken.append(line)
        self.number += 1
        return line

    def begin_record(self) -> None:
        """Forget what was taken."""
        self._taken.clear()

    def go_back(self) -> None:
        """Give out again what the record took, from its second line on."""
        self._again.extendleft(reversed(self._taken[1:]))
        self.number -= len(self._taken) - 1


def read_csv(lines: Iterable[str], key_column: str) -> Iterator[Record]:
    """Yield the records below the header (RFC 4180: commas, quotes doubled inside quotes). Raises UnreadableFile.

    An empty cell says nothing and is left out. Other cells are text, except in columns other than name and
    description where a number in plain decimal form (`-?digits` or `-?digits.digits`, no needless leading zero, at most
    15 digits, not -0) becomes one. So `007`, `1e5`, `+1`, `NaN` and long digit strings stay text, and in the key column
    only whole numbers become numbers: `1.1` and `1.10` are different keys. After a row whose quotes don't match,
    reading goes on with the very next line, so that one stray quote doesn't swallow the rest of the file.
    """
    text = _Lines(lines)
    reader = csv.reader(text, strict=True)
    header = _read_header(reader)
    while True:
        text.begin_record()
        line = text.number + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as exc:
            yield Record(line, UnreadableRecord(f"expected CSV: {exc}"))
            text.go_back()
            reader = csv.reader(text, strict=True)
            continue
        if not cells:
            continue
        if len(cells) != len(header):
            yield Record(line, UnreadableRecord(f"expected {len(header)} columns as in the header, got {len(cells)}"))
            continue
        cells_by_name = zip(header, cells, strict=True)
        yield Record(line, {name: _value(name, cell, key_column) for name, cell in cells_by_name if cell})


def read_ndjson(lines: Iterable[str]) -> Iterator[Record]:
    """Yield one record for each line that isn't blank: a JSON object, its names distinct, its numbers finite."""
    for line, source in enumerate(lines, 1):
        if source.isspace():
            continue
        try:
            values = json.loads(source, object_pairs_hook=_distinct, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as exc:
            reason = "nested too deep" if isinstance(exc, RecursionError) else str(exc)
            yield Record(line, UnreadableRecord(f"expected JSON: {reason}"))
            continue
        if isinstance(values, dict):
            yield Record(line, values)
        else:
            yield Record(line, UnreadableRecord(f"expected a JSON object, got {shown(values)}"))


def _read_header(reader: Iterator[list[str]]) -> list[str]:
    try:
        header = next((cells for cells in reader if cells), [])
    except csv.Error as exc:
        raise UnreadableFile(f"expected a header of column names separated by commas: {exc}") from exc
    names = [cell.strip() for cell in header]
    if "name" not in names:
        raise UnreadableFile(f"expected a header with a column 'name', separated by commas, got {shown(names)}")
    repeated = sorted(name for name, times in Counter(names).items() if times > 1)
    if repeated:
        raise UnreadableFile(f"expected every column name once, got {shown(repeated[0])} more than once")
    return names


def _value(column: str, cell: str, key_column: str) -> str | int | float:
    number = None if column in TEXT_COLUMNS else _PLAIN_NUMBER.fullmatch(cell)
    if not number or cell == "-0" or sum(map(str.isdigit, cell)) > _EXACT_DIGITS:
        return cell
    if not number[1]:
        return int(cell)
    return cell if column == key_column else float(cell)


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("expected every name once in an object")
    return values


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"expected a finite number, got {constant}")
