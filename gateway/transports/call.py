"""One HTTP request as the GraphQL endpoint reads it, and its answer, both with as little work as that takes."""

from collections.abc import Mapping
from functools import cached_property

from starlette.requests import Request
from starlette.responses import Response

from gateway.outcomes import Outcome
from gateway.transports.negotiation import JSON, RESPONSE_JSON

_HEADERS = {
    media_type: (
        (b"content-type", f"{media_type}; charset=utf-8".encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        (b"vary", b"accept"),
    )
    for media_type in (JSON, RESPONSE_JSON)
}


class Call(Request):
    """One HTTP request."""

    @cached_property
    def fields(self) -> dict[str, str]:
        """Its header by the names in small letters, read once; what stands there several times is joined by commas."""
        fields: dict[str, str] = {}
        for raw_name, raw_value in self.scope["headers"]:
            name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
            fields[name] = f"{fields[name]},{value}" if name in fields else value
        return fields

    @property
    def address(self) -> str:
        """Where it comes from."""
        return self.client.host if self.client else ""

    def param(self, name: str) -> str | None:
        """Return a parameter of the query string, None where it is not there."""
        return self.query_params.get(name) if self.scope["query_string"] else None


class Answer(Response):
    """A GraphQL response; the usual part of its header is bytes already."""

    def __init__(
        self, outcome: Outcome, status: int, media_type: str, headers: Mapping[str, str] | None = None
    ) -> None:
        self.body = outcome.encode()
        self.status_code = status
        self.background = None
        self.raw_headers = [*_HEADERS[media_type], (b"content-length", str(len(self.body)).encode())]
        self.raw_headers += [(name.encode(), value.encode("latin-1")) for name, value in (headers or {}).items()]
