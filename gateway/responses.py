"""Plain JSON answers, outside of GraphQL's own media type."""

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.responses import Response


def json_response(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return `content` as JSON that no cache keeps."""
    fixed = {"content-type": "application/json", "cache-control": "no-store", "x-content-type-options": "nosniff"}
    return Response(orjson.dumps(content), status, {**fixed, **(headers or {})})


def json_error(
    status: int,
    code: str,
    message: str,
    headers: Mapping[str, str] | None = None,
    extensions: Mapping[str, Any] | None = None,
) -> Response:
    """Return an error in the shape that GraphQL clients read, with `code` in its extensions."""
    error = {"message": message, "extensions": {"code": code, **(extensions or {})}}
    return json_response({"errors": [error]}, status, headers)


def apology(correlation_id: str) -> Response:
    """Return what is answered where a bug of ours is in the way; the log has more under the same id."""
    return json_error(500, "INTERNAL", "Internal error", extensions={"correlationId": correlation_id})
