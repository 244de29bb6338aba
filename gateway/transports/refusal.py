"""What an HTTP request is refused with before any operation is looked at."""

from collections.abc import Mapping
from typing import Any

from starlette.datastructures import Headers

from core.errors import HeadwayError, Unauthenticated
from core.events import Cursor
from gateway.outcomes import Outcome


class Refusal(Exception):
    """Answered with `status`, and a GraphQL error of this code in the negotiated media type."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = dict(headers or {})

    @property
    def outcome(self) -> Outcome:
        """The refusal as a GraphQL response."""
        return Outcome(None, ({"message": str(self), "extensions": {"code": self.code}},), began=False)


def expect_plain_body(headers: Headers) -> None:
    """Refuse a body that would have to be decoded, which may make much of little. Raises Refusal."""
    encodings = ",".join(headers.getlist("content-encoding")) or "identity"
    if encodings.strip().lower() != "identity":
        expected = "Expected a body without Content-Encoding"
        raise Refusal(415, "UNSUPPORTED_MEDIA_TYPE", expected, {"accept-encoding": "identity"})


def refuse_caller(exc: HeadwayError) -> Refusal:
    """Return how a caller is refused who is not known, or whom nobody can tell at the moment."""
    if isinstance(exc, Unauthenticated):
        challenge = f'Bearer error="{exc.challenge}"' if exc.challenge else "Bearer"
        return Refusal(401, exc.code, str(exc), {"www-authenticate": challenge})
    return Refusal(503, exc.code, str(exc))


def ended_error(exc: Unauthenticated, cursor: Cursor | None) -> dict[str, Any]:
    """Return the error of a subscription that ends with its caller's credential: `cursor` is the last one sent."""
    return {"message": str(exc), "extensions": {"code": exc.code, "cursor": None if cursor is None else str(cursor)}}
