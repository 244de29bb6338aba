"""What every request passes first: its correlation id, the name that it asks for, its log line, the way to `/graphql`.

One layer does all of it with one look at the headers, as each layer more costs every request its calls.
"""

import time

from starlette.types import ASGIApp, Receive, Scope, Send

from core.telemetry import RequestLogger
from gateway.correlation import CORRELATION_ID, new_correlation_id
from gateway.transports.call import Answering
from gateway.transports.head import Head
from gateway.transports.hosts import Hosts, refuse_host

log = RequestLogger(__name__)

GRAPHQL = "/graphql"
MAX_PATH_CHARS = 200


class Edge:
    """Stands before the gateway's application, which holds the endpoints of `/graphql`.

    Puts `correlation_id` and `head` into the scope, and the id into the answer; `logs`: one line a request.
    """

    def __init__(self, app: ASGIApp, hosts: Hosts, *, logs: bool) -> None:
        self._app = app
        self._hosts = hosts
        self._logs = logs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        head: Head = scope.get("head") or Head(scope.get("method", ""), scope["headers"])
        scope["head"] = head
        scope["correlation_id"] = correlation_id = head.correlation_id or new_correlation_id()
        if head.is_allowed is None:
            head.is_allowed = self._hosts.allow(scope)
        began_at = time.perf_counter()
        status = 500
        token = CORRELATION_ID.set(correlation_id)
        try:
            if head.is_allowed and scope["path"] == GRAPHQL and scope["type"] == "http":
                status = await scope["app"].graphql_http(scope, receive, send)
            else:
                status = await self._serve(scope, receive, send)
        finally:
            if self._logs and scope["type"] == "http":
                duration_ms = round((time.perf_counter() - began_at) * 1000, 1)
                path = scope["path"][:MAX_PATH_CHARS]
                log.info("Request", method=scope["method"], path=path, status=status, duration_ms=duration_ms)
        CORRELATION_ID.reset(token)  # What is raised is logged under the id by the server, whose task ends with that.

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> int:
        """Answer what is no GraphQL over HTTP, or may not pass, and return the status, 0 where nothing was said."""
        answering = Answering(send, scope["correlation_id"])
        if not scope["head"].is_allowed:
            await refuse_host(scope, receive, answering)
        elif scope["path"] == GRAPHQL:
            await scope["app"].state.graphql_websocket(scope, receive, answering)
        else:
            await self._app(scope, receive, answering)
        return answering.status
