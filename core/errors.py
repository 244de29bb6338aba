"""The errors that a client may see.

HeadwayError
├── BadUserInput        BAD_USER_INPUT      a value is not what the field takes
├── NotFound            NOT_FOUND           no such task, item, kind or batch
├── Conflict            CONFLICT            the thing exists already, or has changed meanwhile
├── Unauthenticated     UNAUTHENTICATED     no key or token, or one that does not hold
├── Forbidden           FORBIDDEN           the role does not allow it
├── RateLimited         RATE_LIMITED        the budget of this minute is spent
│   └── SubscriptionUnpaid RATE_LIMITED     the same, for the next minute of a subscription
├── ResponseTooLarge    RESPONSE_TOO_LARGE  what was asked for is too much for one answer
└── Unavailable         UNAVAILABLE         a service that this operation needs does not answer

Everything else is a bug or an outage: it is masked at the edge and logged under its correlation id.
"""

from typing import ClassVar

SHOWN_CHARS = 80


def shown(value: object) -> str:
    """Return `value` as an error message may quote it: its repr, cut to 80 characters."""
    text = repr(value[: SHOWN_CHARS + 1] if isinstance(value, str) else value)
    return text if len(text) <= SHOWN_CHARS else text[:SHOWN_CHARS] + "…"


class HeadwayError(Exception):
    """An error with a public code and a message that holds no secret."""

    code: ClassVar[str] = "INTERNAL"

    @property
    def extensions(self) -> dict[str, object]:
        """What goes to the client beside the message: always `code`."""
        return {"code": self.code}


class BadUserInput(HeadwayError):
    """`field` (a dotted path) holds something other than `expected`."""

    code = "BAD_USER_INPUT"

    def __init__(self, field: str, expected: str, *, got: object = None) -> None:
        came = "" if got is None else f", got {shown(got)}"
        super().__init__(f"{field}: expected {expected}{came}")
        self.field = field
        self.expected = expected

    @property
    def extensions(self) -> dict[str, object]:
        return {"code": self.code, "field": self.field, "expected": self.expected}


class NotFound(HeadwayError):
    """There is no `noun` with this id, or it belongs to someone else."""

    code = "NOT_FOUND"

    def __init__(self, noun: str, ident: object) -> None:
        super().__init__(f"There is no {noun} {shown(str(ident))}")
        self.noun = noun


class Conflict(HeadwayError):
    """The write collides with what is stored; `field` says where."""

    code = "CONFLICT"

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field

    @property
    def extensions(self) -> dict[str, object]:
        return {"code": self.code, "field": self.field}


class Unauthenticated(HeadwayError):
    """Who asks is not known. `challenge` is RFC 6750's error code, "" where nothing was presented.

    The message says what was wrong in words that give nothing away; it never holds what was presented.
    """

    code = "UNAUTHENTICATED"

    def __init__(self, message: str, *, challenge: str = "invalid_token") -> None:
        super().__init__(message)
        self.challenge = challenge


class Forbidden(HeadwayError):
    """`field` needs a greater role."""

    code = "FORBIDDEN"

    def __init__(self, field: str, role: str) -> None:
        super().__init__(f"{field} needs the role {role}")
        self.field = field
        self.role = role

    @property
    def extensions(self) -> dict[str, object]:
        return {"code": self.code, "field": self.field, "role": self.role}


class RateLimited(HeadwayError):
    """The principal has spent what it may in this minute; there is more in `retry_after_s` seconds."""

    code = "RATE_LIMITED"

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"The budget of this minute is spent; try again in {retry_after_s} s")
        self.retry_after_s = retry_after_s

    @property
    def extensions(self) -> dict[str, object]:
        return {"code": self.code, "retryAfter": self.retry_after_s}


class SubscriptionUnpaid(RateLimited):
    """A subscription ends because its next minute can't be paid for; `cursor` is the last one that it was sent."""

    def __init__(self, retry_after_s: int, cursor: str | None) -> None:
        super().__init__(retry_after_s)
        self.cursor = cursor

    @property
    def extensions(self) -> dict[str, object]:
        return {**super().extensions, "cursor": self.cursor}


class ResponseTooLarge(HeadwayError):
    """What was asked for is more than `allowed` bytes."""

    code = "RESPONSE_TOO_LARGE"

    def __init__(self, allowed: int) -> None:
        super().__init__(
            f"Expected to answer with at most {allowed:,} bytes; ask for less. What a mutation changed is changed"
        )
        self.allowed = allowed

    @property
    def extensions(self) -> dict[str, object]:
        return {"code": self.code, "allowed": self.allowed}


class Unavailable(HeadwayError):
    """`service` (MongoDB, Redis, RabbitMQ) does not answer; nothing was done."""

    code = "UNAVAILABLE"

    def __init__(self, service: str) -> None:
        super().__init__(f"{service} does not answer right now; nothing was changed, try again")
        self.service = service

    @property
    def extensions(self) -> dict[str, object]:
        return {"code": self.code, "service": self.service}


class StartupError(Exception):
    """The process can't start; the message is one line that an operator can act on."""
