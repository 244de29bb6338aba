"""`GET /files/{id}`: a file that a task made, streamed out of GridFS to whoever may see the task."""

import re
from contextlib import ExitStack
from uuid import UUID

from pymongo.errors import PyMongoError
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from core import files, gridfs
from core.documents import Role
from core.errors import BadUserInput, HeadwayError, NotFound
from core.file_document import File
from core.ids import parse_id
from gateway.replica import Replica
from gateway.responses import json_error
from gateway.transports.caps import RETRY_AFTER_S, CapReached, Caps
from gateway.transports.plain import caller_of, charge_for, error_response

FIXED_HEADERS = {
    "cache-control": "private, no-store",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; sandbox; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "accept-ranges": "none",
}
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
MAX_NAME_CHARS = 100


class Downloads:
    """Serves files, a bounded number at a time; of each, one chunk is in memory."""

    def __init__(self, replica: Replica, caps: Caps) -> None:
        self._replica = replica
        self._caps = caps

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the file. One that is not there, not yet, no longer or not the caller's is 404 all the same."""
        request = Request(scope, receive)
        with ExitStack() as held:
            try:
                response = await self._answer(request, held)
            except CapReached as exc:
                response = _too_many(str(exc))
            except (HeadwayError, PyMongoError) as exc:
                response = error_response(exc)
            await response(scope, receive, send)

    async def _answer(self, request: Request, held: ExitStack) -> Response:
        principal = await self._replica.authenticator.authenticate(request.headers.get("authorization"))
        principal.require(Role.VIEWER, "GET /files")
        file = await files.find(_id_of(request), principal.visible)
        headers = _headers(file)
        if headers["etag"] in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers={**FIXED_HEADERS, "etag": headers["etag"]})
        if request.method == "HEAD":
            return Response(headers=headers)
        held.enter_context(self._caps.downloads.hold(caller_of(request, principal)))
        await charge_for(self._replica, principal.owner, file.length)
        return StreamingResponse(gridfs.read(File, file.id), headers=headers)


def _id_of(request: Request) -> UUID:
    """Return the id in the path. Raises NotFound: what is no id names no file."""
    ident = request.path_params["file_id"]
    try:
        return parse_id(ident)
    except BadUserInput as exc:
        raise NotFound("file", ident) from exc


def _headers(file: File) -> dict[str, str]:
    """A file never changes, so its id tells its bytes; `no-store`, because it is its owner's and goes."""
    name = _UNSAFE.sub("_", file.filename)[-MAX_NAME_CHARS:].lstrip(".") or "file"
    return {
        **FIXED_HEADERS,
        "content-type": file.metadata.media_type,
        "content-length": str(file.length),
        "content-disposition": f'attachment; filename="{name}"',
        "etag": f'"{file.id}"',
    }


def _too_many(message: str) -> Response:
    return json_error(429, "RATE_LIMITED", message, {"retry-after": str(RETRY_AFTER_S)})
