"""The spans of requests and operations, beneath the `traceparent` that their client sent.

A WebSocket has none, for it may last for days; its operations' spans belong to the trace of its handshake.
"""

from contextlib import AbstractContextManager

from graphql import OperationDefinitionNode
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.documents import Task
from core.tracing import NO_SPAN, Attributes, OpenSpan, Span, SpanKind, is_on, joined, open_span, span, trace_of

TRACED = frozenset({"/graphql", "/imports/content"})
"""Not the pages, and not what only asks for the replica's health or numbers."""


MAX_NAME_CHARS = 100


def operation_span(operation: OperationDefinitionNode, type_: str, correlation_id: str) -> AbstractContextManager[Span]:
    """Open the span of a query or mutation: its type and name, but nothing else of its document."""
    return span(type_, attributes=_attributes(operation, correlation_id)) if is_on() else NO_SPAN


def _attributes(operation: OperationDefinitionNode, correlation_id: str) -> Attributes:
    name = operation.name.value[:MAX_NAME_CHARS] if operation.name else ""
    told = {"graphql.operation.type": operation.operation.value, "graphql.operation.name": name}
    return {**told, "headway.correlation_id": correlation_id}


class SubscriptionSpan:
    """A subscription from its begin to its end, linked to the trace of the task that it follows."""

    def __init__(self, opened: OpenSpan) -> None:
        self._opened = opened

    def joined(self, task: Task) -> None:
        """Take note of what is followed."""
        self._opened.note({"headway.task_id": str(task.id)})
        if task.trace is not None:
            self._opened.link(task.trace)

    def end(self, outcome: str) -> None:
        """End it: ok, errors or cancelled."""
        self._opened.note({"headway.outcome": outcome})
        self._opened.end(None)


def subscription_span(operation: OperationDefinitionNode, correlation_id: str) -> SubscriptionSpan | None:
    """Open the span of a subscription, None while nothing is traced."""
    opened = open_span("subscription", _attributes(operation, correlation_id)) if is_on() else None
    return None if opened is None else SubscriptionSpan(opened)


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
