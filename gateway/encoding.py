"""A response as JSON, of so many bytes at most.

One stored value may stand in a response many times, under aliases, and be held in memory once: only what is written of
it grows. So lists are written entry by entry and counted, and writing ends soon after it is too much.
"""

from collections.abc import Mapping
from typing import Any

import orjson

LEVELS = 4
"""How deep a response is taken apart: its members, the root fields, a connection's fields, its entries."""
AT_ONCE = 5
"""Of the entries that are not taken apart, so many are written before it is looked at how much they are."""
DEEP = 8
"""The same where it holds large values: a batch's connection, edges, entries, and each field of them."""

STORED = orjson.OPT_NAIVE_UTC
"""Moments that stand within stored JSON are told with their offset, whether they were read with it or not."""


class _TooLarge(Exception):  # It is no error: the caller is told by None.
    """More has been written than is allowed."""


def encode_within(response: Mapping[str, Any], max_bytes: int, levels: int = LEVELS) -> bytes | None:
    """Return the same bytes as orjson, or None where they are more than `max_bytes`.

    Of what is too much, no more is written than what lies below so many levels, AT_ONCE times.
    """
    pieces: list[bytes] = []
    try:
        _write(response, levels, pieces, max_bytes)
    except _TooLarge:
        return None
    return b"".join(pieces)


def _write(value: Any, levels: int, pieces: list[bytes], left: int) -> int:
    """Add the pieces of a value, and return how many bytes are left. Raises _TooLarge."""
    if levels and value and type(value) is dict:
        before = b"{"
        for key, inner in value.items():
            head = before + orjson.dumps(key) + b":"
            pieces.append(head)
            left = _write(inner, levels - 1, pieces, left - len(head))
            before = b","
        end = b"}"
    elif levels == 1 and value and type(value) is list:
        before = b"["
        for start in range(0, len(value), AT_ONCE):
            piece = before + orjson.dumps(value[start : start + AT_ONCE], option=STORED)[1:-1]
            pieces.append(piece)
            left -= len(piece)
            if left < 0:
                raise _TooLarge
            before = b","
        end = b"]"
    elif levels and value and type(value) is list:
        before = b"["
        for inner in value:
            pieces.append(before)
            left = _write(inner, levels - 1, pieces, left - 1)
            before = b","
        end = b"]"
    else:
        end = orjson.dumps(value, option=STORED)
    pieces.append(end)
    if len(end) > left:
        raise _TooLarge
    return left - len(end)
