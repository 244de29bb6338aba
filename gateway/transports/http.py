"""GraphQL over HTTP: https://graphql.github.io/graphql-over-http/draft/

Every refusal is a GraphQL error in the negotiated media type, without `data`, because nothing was executed.
"""

import asyncio
from collections.abc import Mapping

from graphql import OperationType
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.metrics import HTTP_RESPONSES
from gateway.operations import Operations, Outcome, Refused
from gateway.pages import Pages
from gateway.replica import Replica
from gateway.transports.limits import EdgeLimits
from gateway.transports.negotiation import HTML, JSON, RESPONSE_JSON, choose_media_type, is_json
from gateway.transports.request import GraphQLRequest, Unreadable, decode_body, decode_params

ANSWERS = (RESPONSE_JSON, JSON)
DISCARDED_BYTES = 32 * 1024 * 1024
"""Of a body that is too large: how much of it is still read, so that the refusal arrives."""


class Refusal(Exception):
    """A request that is answered before any operation is looked at."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = dict(headers or {})

    @property
    def outcome(self) -> Outcome:
        """The refusal as a GraphQL response."""
        return Outcome(None, ({"message": str(self), "extensions": {"code": self.code}},), began=False)


class GraphQLHTTP:
    """The endpoint `/graphql` for everything but WebSockets."""

    def __init__(self, replica: Replica, operations: Operations, pages: Pages, limits: EdgeLimits) -> None:
        self._replica = replica
        self._operations = operations
        self._pages = pages
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self._respond(request)
        except ClientDisconnect:
            return
        HTTP_RESPONSES.labels(response.status_code).inc()
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        accept = ",".join(request.headers.getlist("accept")) or None
        offers = (*ANSWERS, HTML) if request.method == "GET" else ANSWERS
        media_type = choose_media_type(accept, offers)
        if media_type == HTML:
            return self._pages.explorer()
        try:
            _check_answerable(request.method, media_type)
            asked = await self._read(request)
            outcome = await self._execute(request, asked)
        except Refusal as refusal:
            return _answer(refusal.outcome, refusal.status, media_type or JSON, refusal.headers)
        except Refused as refused:
            # A well-formed request is 200 in application/json, whatever its document is (§6.4.1).
            return _answer(refused.outcome, 400 if media_type == RESPONSE_JSON else 200, media_type or JSON)
        return _answer(outcome, 200, media_type or JSON)

    async def _read(self, request: Request) -> GraphQLRequest:
        try:
            if request.method == "GET":
                return decode_params(request.query_params, self._limits)
            if not is_json(request.headers.get("content-type")):
                raise Refusal(415, "UNSUPPORTED_MEDIA_TYPE", f"Expected Content-Type: {JSON}")
            if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
                raise Refusal(415, "UNSUPPORTED_MEDIA_TYPE", "Expected a body without Content-Encoding")
            return decode_body(await self._read_body(request), self._limits)
        except Unreadable as exc:
            raise Refusal(400, "BAD_REQUEST", f"Bad request: {exc}") from exc

    async def _read_body(self, request: Request) -> bytes:
        """Return the body, having held no more of it than the limit.

        What is too much is read on to a bound and thrown away: many clients listen only when they have sent all, and a
        connection closed under their hands would tell them nothing.
        """
        limit = self._limits.max_body_bytes
        too_large = Refusal(413, "PAYLOAD_TOO_LARGE", f"Expected a body of at most {limit} bytes")
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > limit and "expect" in request.headers:
            raise too_large  # The client waits for our word before it sends anything.
        body = bytearray()
        size = 0
        try:
            async with asyncio.timeout(self._limits.body_timeout_s):
                async for chunk in request.stream():
                    size += len(chunk)
                    if size <= limit:
                        body += chunk
                    else:
                        body.clear()
                    if size > limit + DISCARDED_BYTES:
                        break
        except TimeoutError as exc:
            expected = f"Expected the whole body within {self._limits.body_timeout_s:g} s"
            raise Refusal(408, "REQUEST_TIMEOUT", expected, {"connection": "close"}) from exc
        if size > limit:
            raise too_large
        return bytes(body)

    async def _execute(self, request: Request, asked: GraphQLRequest) -> Outcome:
        prepared = self._operations.prepare(asked.query, asked.operation_name)
        if prepared.type is OperationType.SUBSCRIPTION:
            raise Refusal(400, "BAD_REQUEST", "Expected a query or mutation; subscriptions run over WebSocket here")
        if prepared.type is OperationType.MUTATION and request.method == "GET":
            raise Refusal(405, "METHOD_NOT_ALLOWED", "Expected POST for a mutation", {"allow": "POST"})
        context = self._replica.new_context(request.scope["correlation_id"])
        return await self._operations.run(prepared, asked.variables, asked.extensions, context)


def _check_answerable(method: str, media_type: str | None) -> None:
    if method not in ("GET", "POST"):
        raise Refusal(405, "METHOD_NOT_ALLOWED", "Expected GET or POST", {"allow": "GET, POST"})
    if media_type is None:
        raise Refusal(406, "NOT_ACCEPTABLE", f"Expected Accept to allow {RESPONSE_JSON} or {JSON}")


def _answer(outcome: Outcome, status: int, media_type: str, headers: Mapping[str, str] | None = None) -> Response:
    return Response(
        outcome.encode(),
        status,
        {
            "content-type": f"{media_type}; charset=utf-8",
            "cache-control": "no-store",
            "x-content-type-options": "nosniff",
            "vary": "accept",
            **(headers or {}),
        },
    )
