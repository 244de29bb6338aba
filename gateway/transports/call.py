"""One HTTP request as the GraphQL endpoint reads it, and its answer, both with as little work as that takes."""

from collections.abc import Mapping
from functools import cached_property
from math import inf

from starlette.datastructures import Headers, QueryParams
from starlette.types import Message, Receive, Scope, Send

from gateway.correlation import HEADER
from gateway.outcomes import Outcome
from gateway.transports.exchange import Exchange
from gateway.transports.head import Head
from gateway.transports.negotiation import JSON, RESPONSE_JSON

STARTS = frozenset({"http.response.start", "websocket.accept", "websocket.http.response.start"})
_HEADERS = {
    media_type: (
        (b"content-type", f"{media_type}; charset=utf-8".encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        (b"vary", b"accept"),
    )
    for media_type in (JSON, RESPONSE_JSON)
}
_LINES = {
    media_type: b"".join(b"%b: %b\r\n" % header for header in headers) + b"content-length: %d\r\n%b: %b\r\n"
    for media_type, headers in _HEADERS.items()
}
"""The same as they are written, before the body's length, and the name and the value of the correlation id."""


class Call:
    """One HTTP request, whose head the scope holds."""

    __slots__ = ("__dict__", "correlation_id", "head", "method", "receive", "scope")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope = scope
        self.receive = receive
        self.method: str = scope["method"]
        self.correlation_id: str = scope["correlation_id"]
        self.head: Head = scope["head"]

    def __contains__(self, name: bytes) -> bool:
        return name in self.head.fields

    def field(self, name: bytes) -> str | None:
        """Return a header, None where it is not there."""
        return self.head.field(name)

    @property
    def headers(self) -> Headers:
        """All of its headers, one by one."""
        return Headers(scope=self.scope)

    @property
    def address(self) -> str:
        """Where it comes from."""
        client = self.scope["client"]
        return client[0] if client else ""

    @cached_property
    def query_params(self) -> QueryParams:
        """The parameters of the query string."""
        return QueryParams(self.scope["query_string"])

    def param(self, name: str) -> str | None:
        """Return a parameter of the query string, None where it is not there."""
        return self.query_params.get(name) if self.scope["query_string"] else None

    def take_whole_body(self, most: float = inf) -> bytes | None:
        """Return the body if it has come already to our own server, None if one has to wait for it.

        None, and nothing taken, also where it has more than `most` bytes.
        """
        exchange = getattr(self.receive, "__self__", None)
        return exchange.take_whole_body(most) if isinstance(exchange, Exchange) else None


class Answer:
    """A GraphQL response; the usual part of its header is bytes already."""

    __slots__ = ("_headers", "_media_type", "body", "status_code")

    def __init__(
        self, outcome: Outcome, status: int, media_type: str, headers: Mapping[str, str] | None = None
    ) -> None:
        self.body = outcome.encode()
        self.status_code = status
        self._media_type = media_type
        self._headers = headers

    async def give(self, call: Call, send: Send) -> None:
        """Send it, with the correlation id: in one step where nothing stands between here and our own server."""
        length, ident = len(self.body), call.correlation_id.encode()
        exchange = getattr(send, "__self__", None)
        if not self._headers and isinstance(exchange, Exchange):
            lines = _LINES[self._media_type] % (length, HEADER, ident)
            if exchange.answer(self.status_code, lines, self.body):
                return
        added = [(name.encode(), value.encode("latin-1")) for name, value in (self._headers or {}).items()]
        headers = [*_HEADERS[self._media_type], (b"content-length", b"%d" % length), *added, (HEADER, ident)]
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


class Answering:
    """An application's way to answer, which adds the correlation id; `status` is what was said, 0 before."""

    def __init__(self, send: Send, correlation_id: str) -> None:
        self.status = 0
        self._send = send
        self._header = (HEADER, correlation_id.encode())

    async def __call__(self, message: Message) -> None:
        if message["type"] in STARTS:
            self.status = message.get("status", 0)
            message["headers"] = [*message.get("headers", ()), self._header]
        await self._send(message)
