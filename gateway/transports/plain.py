"""What the routes beside GraphQL share: who asks, what bytes cost, and errors with the HTTP status that says it."""

import math
from collections.abc import Mapping

from pymongo.errors import PyMongoError
from starlette.requests import Request
from starlette.responses import Response

from core.errors import Forbidden, HeadwayError, NotFound, RateLimited, Unauthenticated
from gateway.errors import translate
from gateway.identity.principals import Principal
from gateway.replica import Replica
from gateway.responses import json_error

STATUSES: Mapping[type[HeadwayError], int] = {Unauthenticated: 401, Forbidden: 403, NotFound: 404, RateLimited: 429}
"""Of what is not here: 503."""
COST_PER_MB = 100
"""Taken from the owner's budget for each million bytes begun."""


def caller_of(request: Request, principal: Principal) -> str:
    """Return whom a transfer counts for."""
    return principal.counted_as(request.client.host if request.client else "")


async def charge_for(replica: Replica, owner: str, size: int) -> None:
    """Take from the owner's budget what so many bytes cost. Raises RateLimited."""
    if replica.budget is not None:
        await replica.budget.charge(owner, COST_PER_MB * math.ceil(size / 1_000_000))


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
