"""Items as the text of a file, batch by batch: what `jobs.records` reads.

Knows how values are spelled, not where they come from. An item is its stored document.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

import orjson

TEXT_FIELDS = ("name", "description")


def csv_head(columns: Sequence[str]) -> bytes:
    """Return the header: name, description, then `columns`, which are names in the metadata."""
    return _csv([(*TEXT_FIELDS, *columns)])


def csv_rows(items: Iterable[dict[str, Any]], columns: Sequence[str]) -> bytes:
    """Return a row for each item: text as it is, nothing for null, every other value as JSON."""
    return _csv(
        [
            *(_cell(item.get(field)) for field in TEXT_FIELDS),
            *(_cell(item.get("metadata", {}).get(name)) for name in columns),
        ]
        for item in items
    )


def ndjson_rows(items: Iterable[dict[str, Any]]) -> bytes:
    """Return an object on a line of its own for each item, the metadata's names beside its own two."""
    return b"".join(
        orjson.dumps(
            {field: item.get(field) for field in TEXT_FIELDS} | columns_of(item), option=orjson.OPT_APPEND_NEWLINE
        )
        for item in items
    )


def columns_of(item: dict[str, Any]) -> dict[str, Any]:
    """Return what of the metadata has a place in the file: all but what is called as one of the item's own two."""
    return {name: value for name, value in item.get("metadata", {}).items() if name not in TEXT_FIELDS}


def _cell(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _csv(rows: Iterable[Sequence[str]]) -> bytes:
    """RFC 4180, with its line ends."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
