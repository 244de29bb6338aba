"""The schema's own scalars, and how plain attributes become field values."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NewType
from uuid import UUID

import strawberry
from bson.tz_util import utc as STORED_UTC
from strawberry.exceptions import StrawberryInputCoercionError
from strawberry.types.scalar import ScalarDefinition

from core.errors import shown
from gateway.shapes import BIG_MAX, BIG_MIN

JSON = NewType("JSON", object)
BigInt = NewType("BigInt", int)
MAX_TEXTS = 10_000


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STORED_EPOCH = datetime(1970, 1, 1, tzinfo=STORED_UTC)
_BARE_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  # For what MongoDB holds, as it is.
_DAYS: dict[int, str] = {}
_SECONDS: dict[int, str] = {}
"""The texts of the latest days since 1970 that were written, and of the latest seconds of a day."""
_PARTS = [f".{part:03d}Z" for part in range(1000)]


def read_attribute(source: Any, name: str) -> Any:
    """Return a field's value from stored JSON or from an object's attribute; a UUID as its text."""
    value = source.get(name) if type(source) is dict else getattr(source, name)
    return str(value) if type(value) is UUID else value


def write_date_time(value: Any) -> str:
    """Return RFC 3339 in UTC with milliseconds; what is text already, because it was stored as JSON, stays as it is."""
    if isinstance(value, str):
        return value
    if not isinstance(value, datetime):
        raise TypeError(f"expected a datetime, got {type(value).__name__}")
    return write_moment(value)


def write_moment(moment: datetime) -> str:
    """Return RFC 3339 in UTC with milliseconds. A moment without an offset is in UTC, as MongoDB holds it.

    Put together from texts made beforehand: a tenth of the time that isoformat takes (measured 2026-11).
    """
    if moment.tzinfo is None:
        since = moment - _BARE_EPOCH
    elif moment.tzinfo is STORED_UTC:
        since = moment - _STORED_EPOCH
    else:
        since = (moment if moment.tzinfo is UTC else moment.astimezone(UTC)) - _EPOCH
    try:
        return f"{_DAYS[since.days]}{_SECONDS[since.seconds]}{_PARTS[since.microseconds // 1000]}"
    except KeyError:
        _keep(_DAYS, since.days, _write_day)
        _keep(_SECONDS, since.seconds, _write_second)
        return write_moment(moment)


def _keep(texts: dict[int, str], number: int, write: Callable[[int], str]) -> None:
    """Keep the text of a number, and not too many others."""
    if len(texts) >= MAX_TEXTS:
        texts.clear()
    texts[number] = write(number)


def _write_day(number: int) -> str:
    return (_EPOCH + timedelta(days=number)).date().isoformat()


def _write_second(number: int) -> str:
    return f"T{number // 3600:02d}:{number // 60 % 60:02d}:{number % 60:02d}"


def read_date_time(value: object) -> datetime:
    """Return the moment that RFC 3339 text names, cut to the millisecond; its offset is required."""
    moment = _parse(value) if isinstance(value, str) else None
    if moment is None:
        raise StrawberryInputCoercionError(
            f"DateTime: expected RFC 3339 text with an offset, such as 2026-01-31T12:00:00Z, got {shown(value)}"
        )
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _parse(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo is not None and "T" in text.upper() else None
    except (ValueError, OverflowError):
        return None


def _big_int(value: object) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not BIG_MIN <= value <= BIG_MAX:
        raise StrawberryInputCoercionError("BigInt: expected a whole number of at most 64 bits")
    return value


def _scalar(name: str, description: str, **options: Any) -> ScalarDefinition:
    scalar: ScalarDefinition = strawberry.scalar(name=name, description=description, **options)
    return scalar


SCALARS: Mapping[object, ScalarDefinition] = {
    JSON: _scalar(
        "JSON",
        "Any JSON value: an object, a list, text, a number, true, false or null.",
        specified_by_url="https://datatracker.ietf.org/doc/html/rfc8259",
    ),
    BigInt: _scalar(
        "BigInt",
        "A whole number of at most 64 bits, written as a JSON number. JavaScript reads it exactly up to 2^53.",
        serialize=_big_int,
        parse_value=_big_int,
    ),
    datetime: _scalar(
        "DateTime",
        "A moment as RFC 3339 text; answers are in UTC with milliseconds, such as 2026-01-31T12:00:00.000Z. "
        "In arguments an offset is required.",
        specified_by_url="https://datatracker.ietf.org/doc/html/rfc3339",
        serialize=write_date_time,
        parse_value=read_date_time,
    ),
}
