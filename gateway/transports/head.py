"""What the head of an HTTP request says, found once for as long as a connection's client sends the same one again."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

from gateway.correlation import HEADER, sane_id
from gateway.transports.negotiation import (
    EVENT_STREAM,
    HTML,
    JSON,
    PLAIN,
    RESPONSE_JSON,
    choose_media_type,
    is_json,
)

ANSWERS = (RESPONSE_JSON, JSON)
OFFERS = {
    "GET": (*ANSWERS, HTML, EVENT_STREAM),
    "POST": (*ANSWERS, EVENT_STREAM),
    "PUT": (PLAIN,),
    "DELETE": ANSWERS,
}
"""What each method can be answered with; an event stream's token is plain text."""
USUAL_BYTES = 1_024
"""Of a head that a connection keeps."""
USUAL_BODY_BYTES = 65_536
"""Of a body behind it: what is larger comes in pieces anyway."""
LESSONS = 8
"""How many heads of a connection are learned: where that many differ, as a proxy's do, the next will too."""
END = b"\r\n\r\n"


def fields_of(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return headers by their names in small letters; what stands there several times is joined by commas."""
    fields: dict[bytes, bytes] = {}
    for name, value in headers:
        fields[name] = fields[name] + b"," + value if name in fields else value
    return fields


class Head:
    """The head of a request. Nobody changes one of HTTP, as the next request may have the same."""

    __slots__ = ("correlation_id", "fields", "has_json", "has_plain_json", "is_allowed", "is_answerable", "media_type")

    def __init__(self, method: str, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self.fields = fields_of(headers)
        self.correlation_id = sane_id(self.field(HEADER))
        """The client's own, None where it sent none that is sane."""
        self.media_type = choose_media_type(self.field(b"accept"), OFFERS.get(method, ANSWERS))
        """What `/graphql` answers with, None where nothing that it has is acceptable."""
        self.is_answerable = method in OFFERS and self.media_type is not None
        self.has_json = is_json(self.field(b"content-type"))
        self.has_plain_json = self.has_json and method == "POST" and b"content-encoding" not in self.fields
        """Whether the body is a request of GraphQL as it comes."""
        self.is_allowed: bool | None = None
        """Whether the edge lets it pass, None before it has looked."""

    def field(self, name: bytes) -> str | None:
        """Return a header, None where it is not there."""
        value = self.fields.get(name)
        return None if value is None else value.decode("latin-1")


@dataclass(frozen=True)
class Usual:
    """A request whose head was parsed: what comes with the same bytes in its place is the same, but for the body."""

    head: bytes
    length: int
    scope: dict[str, Any]
    app: Any

    @classmethod
    def learned(cls, data: bytes, scope: Any, app: Any) -> Self | None:
        """Return what was parsed from `data` as one whole request, None where another could be told from it wrongly.

        The head's lines are counted, so that nothing before or behind it is taken for a part of it.
        """
        length = data.find(END) + len(END)
        declared = scope["head"].fields.get(b"content-length", b"0")
        is_whole = declared == b"%d" % (len(data) - length) and b"transfer-encoding" not in scope["head"].fields
        if not is_whole or length > USUAL_BYTES or len(data) - length > USUAL_BODY_BYTES:
            return None
        head = data[:length]
        return cls(head, len(data), scope.copy(), app) if head.count(b"\n") == len(scope["headers"]) + 2 else None

    def begins(self, data: bytes) -> bool:
        """Whether `data` is a whole request with this head, and nothing else."""
        return len(data) == self.length and data.startswith(self.head)


class Lessons:
    """What a connection has learned: the last of its client's first few heads."""

    __slots__ = ("_left", "usual")

    def __init__(self) -> None:
        self._left = LESSONS
        self.usual: Usual | None = None

    def learn(self, data: bytes, scope: Any, app: Any) -> None:
        """Remember the request that was parsed from `data`, if it can be told from others, and too much was not."""
        if self._left:
            self._left -= 1
            self.usual = Usual.learned(data, scope, app)
