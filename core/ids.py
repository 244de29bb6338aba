"""Identifiers: time-ordered UUIDs, so that newest-first is the primary key backwards."""

from uuid import UUID

from uuid_utils.compat import uuid7

from core.errors import BadUserInput


def new_id() -> UUID:
    """Return a UUIDv7 (RFC 9562) greater than every one this process made before."""
    return uuid7()


def parse_id(text: str, field: str = "id") -> UUID:
    """Return the UUID that `text` spells. Raises BadUserInput naming `field` if it spells none."""
    try:
        return UUID(text)
    except ValueError as exc:
        raise BadUserInput(field, "a UUID such as 0190f5c4-7e1a-7c3b-9d2e-3f4a5b6c7d8e", got=text) from exc
