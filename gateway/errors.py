"""What of an error a client may see: the one translation at the edge, for HTTP and WebSocket alike.

| what came                                            | code                                     |
|------------------------------------------------------|------------------------------------------|
| a HeadwayError                                       | its own, with its message and extensions |
| MongoDB does not answer                              | UNAVAILABLE, service MongoDB             |
| a document that does not parse                       | GRAPHQL_PARSE_FAILED                     |
| a document that the schema refuses                   | GRAPHQL_VALIDATION_FAILED                |
| variables or arguments of the wrong type or missing  | BAD_USER_INPUT                           |
| a number in a result that no Int can hold            | VALUE_OUT_OF_RANGE                       |
| anything else                                        | INTERNAL, masked, logged in full         |
"""

import re
from collections.abc import Sequence
from typing import Any

from graphql import GraphQLError, GraphQLSyntaxError
from pymongo.errors import ConnectionFailure, ExecutionTimeout, PyMongoError, WaitQueueTimeoutError
from strawberry.exceptions import StrawberryInputCoercionError

from core.errors import HeadwayError, Unavailable
from core.telemetry import get_logger

log = get_logger(__name__)

_COERCION = re.compile(
    r"^(Variable '\$[^']*' (has invalid (default )?value|of required type)"
    r"|Variable values are nested too deeply|Too many errors processing variables"
    r"|Argument '[^']*' (has invalid value|of (required|non-null) type))"
)
"""How graphql-core 3.3 words what it finds wrong with values; it gives these errors no class of their own."""

_OUT_OF_RANGE = "Int cannot represent non 32-bit signed integer value"


INTERNAL_ERROR = {"message": "Internal error", "extensions": {"code": "INTERNAL"}}
"""What is told of a bug outside an operation's execution; `mask` adds the place and the correlation id."""


def translate(exc: BaseException) -> HeadwayError | None:
    """Return the public error that `exc` amounts to, None when it is a bug that has to be masked."""
    if isinstance(exc, HeadwayError):
        return exc
    if isinstance(exc, ConnectionFailure | ExecutionTimeout | WaitQueueTimeoutError) or (
        isinstance(exc, PyMongoError) and exc.timeout
    ):
        return Unavailable("MongoDB")
    return None


def mask(errors: Sequence[GraphQLError], correlation_id: str) -> list[dict[str, Any]]:
    """Return the errors as a response may carry them, in their order. Logs each one that it masks.

    Afterwards they hold no frames: errors and frames hold each other, and with them all that a resolver had read.
    """
    shown = [_mask(error, correlation_id) for error in errors]
    for error in errors:
        release(error)
    return shown


def release(error: BaseException) -> None:
    """Take the frames that it was raised in from an error that has been told, and from those that led to it."""
    todo, seen = [error], {id(error)}
    while todo:
        exc = todo.pop()
        exc.__traceback__ = None
        for led in (exc.__cause__, exc.__context__, getattr(exc, "original_error", None)):
            if isinstance(led, BaseException) and id(led) not in seen:
                seen.add(id(led))
                todo.append(led)


def _mask(error: GraphQLError, correlation_id: str) -> dict[str, Any]:
    cause = _cause(error)
    public = translate(cause) if cause is not None else None
    if public is not None:
        return _shown(error, str(public), {**public.extensions, "correlationId": correlation_id})
    code = error.extensions.get("code") if error.extensions else None
    if isinstance(code, str) and (cause is None or isinstance(cause, GraphQLError)):
        return _shown(error, error.message, dict(error.extensions or {}))
    code = _graphql_code(error, cause)
    if code is not None:
        return _shown(error, error.message, {"code": code})
    log.error(
        "Masked an unexpected error",
        correlation_id=correlation_id,
        path=error.path,
        error=error.message,
        exc_info=cause or error,
    )
    return _shown(error, "Internal error", {"code": "INTERNAL", "correlationId": correlation_id})


def _cause(error: GraphQLError) -> BaseException | None:
    """Return what was raised first, below the GraphQLErrors that say where it happened."""
    cause: BaseException | None = error.original_error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    return cause


def _graphql_code(error: GraphQLError, cause: BaseException | None) -> str | None:
    if isinstance(error, GraphQLSyntaxError):
        return "GRAPHQL_PARSE_FAILED"
    if isinstance(cause, StrawberryInputCoercionError) or _COERCION.match(error.message):
        return "BAD_USER_INPUT"
    if error.message.startswith(_OUT_OF_RANGE):
        return "VALUE_OUT_OF_RANGE"
    if error.path is None and (cause is None or isinstance(cause, GraphQLError)):
        return "GRAPHQL_VALIDATION_FAILED"
    return None


def _shown(error: GraphQLError, message: str, extensions: dict[str, Any]) -> dict[str, Any]:
    formatted: dict[str, Any] = {"message": message}
    if error.locations:
        formatted["locations"] = [location.formatted for location in error.locations]
    if error.path:
        formatted["path"] = error.path
    formatted["extensions"] = extensions
    return formatted
