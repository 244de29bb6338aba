"""The spans of requests: one for each that may submit something, beneath the `traceparent` that its client sent.

A WebSocket has none, for it may last for days; its operations' spans belong to the trace of its handshake.
"""

from contextlib import AbstractContextManager

from graphql import OperationDefinitionNode
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.tracing import Attributes, Span, SpanKind, is_on, joined, span, trace_of

TRACED = frozenset({"/graphql", "/imports/content"})
"""Not the pages, and not what only asks for the replica's health or numbers."""


MAX_NAME_CHARS = 100


def operation_span(operation: OperationDefinitionNode, correlation_id: str) -> AbstractContextManager[Span]:
    """Open the span of a query or mutation: its type and name, but nothing else of its document."""
    type_ = operation.operation.value
    if not is_on():
        return span(type_)
    name = operation.name.value[:MAX_NAME_CHARS] if operation.name else ""
    attributes: Attributes = {"graphql.operation.type": type_, "graphql.operation.name": name}
    return span(type_, attributes={**attributes, "headway.correlation_id": correlation_id})


class TracingMiddleware:
    """Stands outside of everything else, so that a request's log lines name its trace."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or scope["path"] not in TRACED:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if scope["type"] == "websocket":
            with joined(headers):
                await self._app(scope, receive, send)
            return
        await self._trace(scope, receive, send, trace_of(headers))

    async def _trace(self, scope: Scope, receive: Receive, send: Send, parent: str | None) -> None:
        method, path = scope["method"], scope["path"]
        attributes = {"http.request.method": method, "url.path": path, "http.route": path}
        with span(f"{method} {path}", SpanKind.SERVER, parent, attributes) as request:

            async def send_noting(message: Message) -> None:
                if message["type"] == "http.response.start":
                    request.note({"http.response.status_code": message["status"]})
                await send(message)

            try:
                await self._app(scope, receive, send_noting)
            finally:
                request.note({"headway.correlation_id": scope.get("correlation_id", "")})
