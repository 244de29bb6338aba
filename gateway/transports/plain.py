"""Errors of the routes beside GraphQL, each with the HTTP status that says the same."""

from collections.abc import Mapping

from pymongo.errors import PyMongoError
from starlette.responses import Response

from core.errors import Forbidden, HeadwayError, NotFound, RateLimited, Unauthenticated
from gateway.errors import translate
from gateway.responses import json_error

STATUSES: Mapping[type[HeadwayError], int] = {Unauthenticated: 401, Forbidden: 403, NotFound: 404, RateLimited: 429}
"""Of what is not here: 503."""


def error_response(exc: HeadwayError | PyMongoError) -> Response:
    """Return the error as JSON. Raises it again where it is a bug, which has no public words."""
    public = translate(exc)
    if public is None:
        raise exc
    status = STATUSES.get(type(public), 503)
    headers = {"www-authenticate": "Bearer"} if status == 401 else {}
    if isinstance(public, RateLimited):
        headers = {"retry-after": str(public.retry_after_s), "connection": "close"}
    return json_error(status, public.code, str(public), headers, public.extensions)
