"""`POST /imports/content`: a file on its way into GridFS, piece by piece, for importItems to name by its id."""

import asyncio
import codecs
from collections.abc import AsyncIterator
from contextlib import suppress

from pymongo.errors import PyMongoError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from core import contents
from core.documents import Content, Role
from core.errors import HeadwayError
from gateway.metrics import REFUSED
from gateway.replica import Replica
from gateway.responses import json_error, json_response
from gateway.transports.caps import RETRY_AFTER_S, CapReached, Caps
from gateway.transports.limits import EdgeLimits
from gateway.transports.plain import caller_of, charge_for, error_response
from gateway.transports.refusal import Refusal, expect_plain_body

CONTENT_TYPES = ("text/csv", "application/x-ndjson", "application/octet-stream")
"""None of them is one that a page of another origin may send unasked (Fetch standard, CORS-safelisted)."""
DISCARDED_BYTES = 32 * 1024 * 1024
DISCARD_TIMEOUT_S = 10.0
MAX_UNUSED = 100
"""Contents of one owner that no task has named yet; each goes after an hour."""


class Uploads:
    """Takes uploads, a bounded number at a time."""

    def __init__(self, replica: Replica, caps: Caps, limits: EdgeLimits) -> None:
        self._replica = replica
        self._caps = caps
        self._limits = limits

    async def __call__(self, request: Request) -> Response:
        """Store the body and answer with its id; a body that does not come whole leaves nothing behind."""
        try:
            return await self._receive(request)
        except Refusal as refusal:
            if refusal.status == 413:
                await _discard(request)
            return json_error(refusal.status, refusal.code, str(refusal), refusal.headers)
        except ClientDisconnect:
            return Response(status_code=400)  # Nobody is there to read it.
        except (HeadwayError, PyMongoError) as exc:
            return error_response(exc)

    async def _receive(self, request: Request) -> Response:
        principal = await self._replica.authenticator.authenticate(request.headers.get("authorization"))
        principal.require(Role.OPERATOR, "POST /imports/content")
        owner = principal.owner
        _check_headers(request, self._limits.max_import_bytes)
        try:
            with self._caps.uploads.hold(caller_of(request, principal)):
                content = await self._store(owner, request)
        except CapReached as exc:
            raise _too_many(str(exc)) from exc
        return json_response({"contentId": str(content.id), "bytes": content.length}, 201)

    async def _store(self, owner: str, request: Request) -> Content:
        if await contents.count_unused(owner) >= MAX_UNUSED:
            REFUSED.labels("unused_contents").inc()
            raise _too_many(f"Expected at most {MAX_UNUSED} contents that no task names yet")
        # By what is declared; without a length, by the most.
        await charge_for(self._replica, owner, _declared_length(request) or self._limits.max_import_bytes)
        return await contents.store(owner, self._pieces(request))

    async def _pieces(self, request: Request) -> AsyncIterator[bytes]:
        """Yield the body as it comes. Raises Refusal when it is too large, too slow, empty or not UTF-8."""
        limit, size, decoder = self._limits.max_import_bytes, 0, codecs.getincrementaldecoder("utf-8")()
        deadline = asyncio.get_running_loop().time() + self._limits.upload_timeout_s
        stream = aiter(request.stream())
        try:
            while True:
                async with asyncio.timeout_at(deadline):
                    piece = await anext(stream, None)
                if piece is None:
                    break
                size += len(piece)
                if size > limit:
                    raise _too_large(limit)
                decoder.decode(piece)
                yield piece
            decoder.decode(b"", final=True)
        except TimeoutError as exc:
            expected = f"Expected the whole body within {self._limits.upload_timeout_s:g} s"
            raise Refusal(408, "REQUEST_TIMEOUT", expected, {"connection": "close"}) from exc
        except UnicodeDecodeError as exc:
            raise Refusal(400, "BAD_REQUEST", "Expected text in UTF-8", {"connection": "close"}) from exc
        if not size:
            raise Refusal(400, "BAD_REQUEST", "Expected the text of a file, got nothing")


def _check_headers(request: Request, limit: int) -> None:
    kind = ",".join(request.headers.getlist("content-type")).partition(";")[0].strip().lower()
    if kind not in CONTENT_TYPES:
        raise Refusal(415, "UNSUPPORTED_MEDIA_TYPE", f"Expected Content-Type to be one of {', '.join(CONTENT_TYPES)}")
    expect_plain_body(request.headers)
    if (_declared_length(request) or 0) > limit:
        raise _too_large(limit)


def _declared_length(request: Request) -> int | None:
    declared = request.headers.get("content-length", "")
    return int(declared) if declared.isdecimal() else None


async def _discard(request: Request) -> None:
    """Read on for a while: many clients listen only when they have sent all, and would not hear the refusal."""
    size = 0
    with suppress(TimeoutError, ClientDisconnect):
        async with asyncio.timeout(DISCARD_TIMEOUT_S):
            async for piece in request.stream():
                size += len(piece)
                if size > DISCARDED_BYTES:
                    return


def _too_large(limit: int) -> Refusal:
    return Refusal(413, "PAYLOAD_TOO_LARGE", f"Expected at most {limit:,} bytes", {"connection": "close"})


def _too_many(message: str) -> Refusal:
    return Refusal(429, "RATE_LIMITED", message, {"retry-after": str(RETRY_AFTER_S), "connection": "close"})
