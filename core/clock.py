"""The wall clock as every side stores it: UTC, in whole milliseconds, which is what BSON keeps."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the present as an aware UTC datetime cut to the millisecond, so that it survives MongoDB unchanged."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)
