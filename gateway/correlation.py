"""The id under which a request is logged: the client's own X-Request-Id when it is sane, a new one otherwise."""

import re

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.ids import new_id

HEADER = "x-request-id"
_SANE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/=+-]{0,99}")


def choose_correlation_id(offered: str | None) -> str:
    """Return `offered` if it is at most 100 harmless characters, else a new id."""
    if offered is not None and _SANE.fullmatch(offered):
        return offered
    return new_id().hex


class CorrelationMiddleware:
    """Puts the id into `scope["correlation_id"]`, into its log lines and into the response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        correlation_id = choose_correlation_id(Headers(scope=scope).get(HEADER))
        scope["correlation_id"] = correlation_id

        async def send_with_id(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.accept", "websocket.http.response.start"):
                message.setdefault("headers", [])
                MutableHeaders(scope=message)[HEADER] = correlation_id
            await send(message)

        with structlog.contextvars.bound_contextvars(correlation_id=correlation_id):
            await self._app(scope, receive, send_with_id)
