"""The id under which a request is logged: the client's own X-Request-Id when it is sane, a new one otherwise."""

import re

import uuid_utils

from core.telemetry import bound_variable

HEADER = b"x-request-id"
_SANE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/=+-]{0,99}")


def sane_id(offered: str | None) -> str | None:
    """Return `offered` if it is at most 100 harmless characters, else None."""
    return offered if offered is not None and _SANE.fullmatch(offered) else None


def new_correlation_id() -> str:
    """Return an id that nobody else has."""
    return uuid_utils.uuid7().hex


CORRELATION_ID = bound_variable("correlation_id")
"""What the lines are logged under that come from the current context."""
