"""One HTTP request as the GraphQL endpoint reads it, and its answer, both with as little work as that takes."""

from collections.abc import Iterable, Mapping
from functools import cached_property

from starlette.datastructures import Headers, QueryParams
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from gateway.correlation import HEADER
from gateway.outcomes import Outcome
from gateway.transports.exchange import WHOLE_BODY
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


def fields_of(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return headers by their names in small letters; what stands there several times is joined by commas."""
    fields: dict[bytes, bytes] = {}
    for name, value in headers:
        fields[name] = fields[name] + b"," + value if name in fields else value
    return fields


class Call:
    """One HTTP request, whose `fields` the scope holds."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope = scope
        self.receive = receive
        self.method: str = scope["method"]
        self.correlation_id: str = scope["correlation_id"]
        self._fields: dict[bytes, bytes] = scope["fields"]

    def __contains__(self, name: bytes) -> bool:
        return name in self._fields

    def field(self, name: bytes) -> str | None:
        """Return a header, None where it is not there."""
        value = self._fields.get(name)
        return None if value is None else value.decode("latin-1")

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

    def take_whole_body(self) -> bytes | None:
        """Return the body if the server says that it has come already, None if one has to wait for it."""
        take = self.scope.get("extensions", {}).get(WHOLE_BODY)
        return None if take is None else take()


class Answer(Response):
    """A GraphQL response; the usual part of its header is bytes already."""

    def __init__(
        self, outcome: Outcome, status: int, media_type: str, headers: Mapping[str, str] | None = None
    ) -> None:
        self.body = outcome.encode()
        self.status_code = status
        self.background = None
        self.raw_headers = [*_HEADERS[media_type], (b"content-length", b"%d" % len(self.body))]
        if headers:
            self.raw_headers += [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
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
