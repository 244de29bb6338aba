"""The id under which a request is logged: the client's own X-Request-Id when it is sane, a new one otherwise."""

import re
import time

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.ids import new_id
from core.telemetry import get_logger

HEADER = b"x-request-id"
log = get_logger(__name__)
_SANE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/=+-]{0,99}")


def choose_correlation_id(offered: str | None) -> str:
    """Return `offered` if it is at most 100 harmless characters, else a new id."""
    if offered is not None and _SANE.fullmatch(offered):
        return offered
    return new_id().hex


class CorrelationMiddleware:
    """Puts the id into `scope["correlation_id"]`, its log lines and the response; `logs`: one line a request."""

    def __init__(self, app: ASGIApp, logs: bool = False) -> None:
        self._app = app
        self._logs = logs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        offered = next((value for name, value in scope["headers"] if name == HEADER), None)
        correlation_id = choose_correlation_id(None if offered is None else offered.decode("latin-1"))
        scope["correlation_id"] = correlation_id
        header = (HEADER, correlation_id.encode())
        status, started_at = 0, time.perf_counter()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] in ("http.response.start", "websocket.accept", "websocket.http.response.start"):
                status = message.get("status", status)
                message["headers"] = [*message.get("headers", ()), header]
            await send(message)

        tokens = structlog.contextvars.bind_contextvars(correlation_id=correlation_id)
        try:
            await self._app(scope, receive, send_with_id)
        finally:
            if self._logs and scope["type"] == "http":
                duration_ms = round((time.perf_counter() - started_at) * 1000, 1)
                path = scope["path"][:200]
                log.info("Request", method=scope["method"], path=path, status=status, duration_ms=duration_ms)
            structlog.contextvars.reset_contextvars(**tokens)
