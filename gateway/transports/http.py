"""GraphQL over HTTP: https://graphql.github.io/graphql-over-http/draft/

Every refusal is a GraphQL error in the negotiated media type, without `data`, because nothing was executed.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, nullcontext

from graphql import OperationType
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from core.errors import Unauthenticated, Unavailable
from gateway.context import OperationContext
from gateway.correlation import HEADER
from gateway.guard.documents import Prepared
from gateway.guard.turns import LARGE_CHARS
from gateway.metrics import http_responses_by
from gateway.operations import Operations, Refused
from gateway.outcomes import Outcome
from gateway.pages import Pages
from gateway.replica import Replica
from gateway.responses import apology
from gateway.transports.call import Answer, Answering, Call
from gateway.transports.frames import MAX_ID_LENGTH
from gateway.transports.head import ANSWERS, OFFERS
from gateway.transports.limits import EdgeLimits
from gateway.transports.negotiation import EVENT_STREAM, HTML, JSON, PLAIN
from gateway.transports.refusal import Refusal, expect_plain_body, refuse_caller
from gateway.transports.request import GraphQLRequest, Unreadable, decode_body, decode_params
from gateway.transports.sse import EventStream, only
from gateway.transports.streams import TOKEN_HEADER, TOKEN_PARAM, Streams

DISCARDED_BYTES = 32 * 1024 * 1024
"""Of a body that is too large: how much of it is still read, so that the refusal arrives."""


class GraphQLHTTP:
    """The endpoint `/graphql` for everything but WebSockets."""

    def __init__(
        self, replica: Replica, operations: Operations, pages: Pages, streams: Streams, limits: EdgeLimits
    ) -> None:
        self._replica = replica
        self._operations = operations
        self._pages = pages
        self._streams = streams
        self._limits = limits
        self._at_once_bytes = min(LARGE_CHARS, limits.max_body_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> int:
        """Answer, and return the status: 0 for a client that has gone. A bug is answered before it is raised."""
        request = Call(scope, receive)
        try:
            response = await self._respond(request)
        except ClientDisconnect:
            return 0
        except Exception:
            await apology(request.correlation_id)(scope, receive, Answering(send, request.correlation_id))
            raise
        http_responses_by[response.status_code] += 1
        if isinstance(response, Answer):
            await response.give(request, send)
        elif isinstance(response, EventStream):
            await self._streams.serve(response, receive, Answering(send, request.correlation_id))
        else:
            response.raw_headers.append((HEADER, request.correlation_id.encode()))
            await response(scope, receive, send)
        return response.status_code

    async def _respond(self, request: Call) -> Answer | Response | EventStream:
        media_type = request.head.media_type
        if media_type == HTML:
            return self._pages.explorer()
        token = request.field(TOKEN_HEADER) or request.param(TOKEN_PARAM)
        answer_type = media_type if media_type in ANSWERS else JSON
        try:
            if not request.head.is_answerable:
                raise _unanswerable(request.method)
            if token is not None and media_type == EVENT_STREAM:
                return self._streams.open(token, request.address)
            if self._replica.authenticator.is_off:
                context = self._replica.new_context(request.correlation_id)
            else:
                context = await self._identify(request)
            if request.method in ("PUT", "DELETE"):
                return await self._tend(request, token, context)
            if token is not None:
                return await self._ride(request, token, context)
            if media_type == EVENT_STREAM:
                return await self._stream(request, context)
            outcome = await self._execute(request, context)
        except Refusal as refusal:
            # A client that waited for leave to send its body may send it or not, so what comes next has no meaning.
            waited = {"connection": "close"} if b"expect" in request else {}
            return Answer(refusal.outcome, refusal.status, answer_type, refusal.headers | waited)
        except Refused as refused:
            # A well-formed request is 200 in application/json, whatever its document is (§6.4.1). What was to be heard
            # on a stream is not: to its client, everything but a refusal is a promise of events.
            if refused.retry_after_s is not None:
                return Answer(refused.outcome, 429, answer_type, {"retry-after": str(refused.retry_after_s)})
            return Answer(refused.outcome, 200 if answer_type == JSON and token is None else 400, answer_type)
        return Answer(outcome, 200, answer_type)

    async def _identify(self, request: Call) -> OperationContext:
        """Return the context of whoever asks. Raises Refusal."""
        try:
            principal = await self._replica.authenticator.authenticate(request.field(b"authorization"))
        except (Unauthenticated, Unavailable) as exc:
            raise refuse_caller(exc) from exc
        return self._replica.new_context(request.correlation_id, principal)

    async def _tend(self, request: Call, token: str | None, context: OperationContext) -> Response:
        """Reserve a stream (PUT), or stop an operation of one (DELETE)."""
        if request.method == "PUT":
            reserved = self._streams.reserve(context.owner, context.principal.counted_as(request.address), token)
            return Response(reserved, 201, {"cache-control": "no-store"}, PLAIN)
        stream = self._streams.find(token, context.owner)
        ident = request.query_params.get("operationId")
        if not ident:
            raise Refusal(400, "BAD_REQUEST", "Expected the parameter `operationId`")
        await stream.stop(ident)
        return Response(status_code=200, headers={"cache-control": "no-store"})

    async def _ride(self, request: Call, token: str, context: OperationContext) -> Response:
        """Start an operation whose outcome goes to a reserved stream."""
        stream = self._streams.find(token, context.owner)
        asked = await self._read(request)
        ident = (asked.extensions or {}).get("operationId")
        if not isinstance(ident, str) or not 0 < len(ident) <= MAX_ID_LENGTH:
            raise Refusal(
                400, "BAD_REQUEST", f"extensions: expected an `operationId` of 1 to {MAX_ID_LENGTH} characters"
            )
        prepared = await self._prepare(request, asked, context)
        self._start(stream, ident, prepared, asked, context)
        return Response(status_code=202, headers={"cache-control": "no-store"})

    async def _stream(self, request: Call, context: OperationContext) -> EventStream:
        """Return the stream of one operation; what is wrong with its document is told there, as the protocol asks."""
        asked = await self._read(request)
        try:
            prepared = await self._prepare(request, asked, context)
        except Refused as refused:
            stream = self._streams.new(context.owner, request.address)
            stream.start(None, None, only(refused.outcome), context, nullcontext())
        else:
            stream = self._streams.new(context.owner, request.address)
            self._start(stream, None, prepared, asked, context)
        return stream

    def _start(
        self,
        stream: EventStream,
        ident: str | None,
        prepared: Prepared,
        asked: GraphQLRequest,
        context: OperationContext,
    ) -> None:
        valid = self._replica.authenticator.while_valid(context.principal)
        stream.start(ident, prepared.type, self._outcomes(prepared, asked, context), context, valid)

    async def _outcomes(
        self, prepared: Prepared, asked: GraphQLRequest, context: OperationContext
    ) -> AsyncGenerator[Outcome, None]:
        if prepared.type is not OperationType.SUBSCRIPTION:
            yield await self._operations.run(prepared, asked.variables, asked.extensions, context)
            return
        stream = self._operations.stream(prepared, asked.variables, asked.extensions, context)
        async with aclosing(stream) as outcomes:
            async for outcome in outcomes:
                yield outcome

    def _read_at_once(self, request: Call) -> GraphQLRequest | None:
        """Return what a small body states that is here; None, and nothing taken, for whatever else. Raises Refusal."""
        body = request.take_whole_body(self._at_once_bytes) if request.head.has_plain_json else None
        if body is None:
            return None
        try:
            return decode_body(body, self._limits)
        except Unreadable as exc:
            raise _bad_request(exc) from exc

    async def _read(self, request: Call) -> GraphQLRequest:
        try:
            if request.method == "GET":
                if len(request.query_params.multi_items()) > len(request.query_params):
                    raise Refusal(400, "BAD_REQUEST", "Bad request: expected each parameter once")
                return decode_params(request.query_params, self._limits)
            if not request.head.has_json:
                raise Refusal(415, "UNSUPPORTED_MEDIA_TYPE", f"Expected Content-Type: {JSON}")
            if b"content-encoding" in request:
                expect_plain_body(request.headers)
            body = await self._read_body(request)
            if len(body) <= LARGE_CHARS:
                return decode_body(body, self._limits)
            async with self._operations.turns.take():
                return decode_body(body, self._limits)
        except Unreadable as exc:
            raise _bad_request(exc) from exc

    async def _read_body(self, request: Call) -> bytes:
        """Return the body, having held no more of it than the limit. Raises Refusal, ClientDisconnect."""
        body, limit = request.take_whole_body(), self._limits.max_body_bytes
        if body is not None and len(body) <= limit:
            return body
        too_large = Refusal(
            413, "PAYLOAD_TOO_LARGE", f"Expected a body of at most {limit} bytes", {"connection": "close"}
        )
        declared = request.field(b"content-length") or ""
        if body is not None or (declared.isdecimal() and int(declared) > limit and b"expect" in request):
            raise too_large  # All of it has come, or the client waits for our word before it sends anything.
        try:
            async with asyncio.timeout(self._limits.body_timeout_s):
                body = await _receive_body(request, limit)
        except TimeoutError as exc:
            expected = f"Expected the whole body within {self._limits.body_timeout_s:g} s"
            raise Refusal(408, "REQUEST_TIMEOUT", expected, {"connection": "close"}) from exc
        if body is None:
            raise too_large
        return body

    async def _execute(self, request: Call, context: OperationContext) -> Outcome:
        asked = self._read_at_once(request) or await self._read(request)
        prepared = self._operations.known(asked)
        if prepared is None or not prepared.is_query:
            prepared = await self._prepare(request, asked, context)
            if prepared.type is OperationType.SUBSCRIPTION:
                expected = f"a query or mutation; subscriptions run over WebSocket, or with Accept: {EVENT_STREAM}"
                raise Refusal(400, "BAD_REQUEST", f"Expected {expected}")
        return await self._operations.run(prepared, asked.variables, asked.extensions, context)

    async def _prepare(self, request: Call, asked: GraphQLRequest, context: OperationContext) -> Prepared:
        """Return the valid operation. Raises Refusal for a mutation by GET, which a mere link could send; Refused."""
        prepared = await self._operations.admit(asked, context)
        if prepared.type is OperationType.MUTATION and request.method == "GET":
            raise Refusal(405, "METHOD_NOT_ALLOWED", "Expected POST for a mutation", {"allow": "POST"})
        return prepared


def _bad_request(exc: Unreadable) -> Refusal:
    return Refusal(400, "BAD_REQUEST", f"Bad request: {exc}")


def _unanswerable(method: str) -> Refusal:
    if method in OFFERS:
        return Refusal(406, "NOT_ACCEPTABLE", f"Expected Accept to allow {' or '.join(OFFERS[method])}")
    allowed = ", ".join(OFFERS)
    return Refusal(405, "METHOD_NOT_ALLOWED", f"Expected one of {allowed}", {"allow": allowed})


async def _receive_body(request: Call, limit: int) -> bytes | None:
    """Return the body, None for one that is larger than the limit. Raises ClientDisconnect.

    What is too much is read on to a bound and thrown away: many clients listen only when they have sent all, and a
    connection closed under their hands would tell them nothing.
    """
    body = bytearray()
    size, has_more = 0, True
    while has_more and size <= limit + DISCARDED_BYTES:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        piece, has_more = message.get("body", b""), message.get("more_body", False)
        size += len(piece)
        if size <= limit:
            body += piece
        else:
            body.clear()
    return bytes(body) if size <= limit else None
