"""What an operation, or one event of it, came to, and its JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from graphql import ExecutionResult, GraphQLError

from core.errors import ResponseTooLarge
from gateway.context import OperationContext
from gateway.encoding import DEEP, LEVELS, STORED, encode_within
from gateway.errors import mask
from gateway.transports.limits import MAX_RESPONSE_BYTES


@dataclass(eq=False)  # Not frozen: one is made for each request, and that would take thrice as long.
class Outcome:
    """What an operation, or one event of it, came to. `began` is False when nothing was executed.

    One of an event may be told to many: nobody changes it, and its JSON is written once.
    """

    data: dict[str, Any] | None
    errors: tuple[Mapping[str, Any], ...] = ()
    began: bool = True
    extensions: Mapping[str, Any] | None = None
    max_bytes: int = MAX_RESPONSE_BYTES
    is_large: bool = False
    """Whether it holds values of which a few, under a few names, are too much."""
    repeats: bool = True
    """Whether a value may stand in it under several names. If not, its JSON takes little more than its values do."""
    _written: bytes | None = field(default=None, init=False, repr=False)

    def encode(self) -> bytes:
        """Return it as JSON; without `data` when nothing was executed, as the GraphQL specification asks (§7.1)."""
        if self._written is None:
            self._written = self._write()
        return self._written

    def _write(self) -> bytes:
        response: dict[str, Any] = {}
        if self.began:
            response["data"] = self.data
        if self.errors:
            response["errors"] = self.errors
        if self.extensions:
            response["extensions"] = self.extensions
        written: bytes | None
        if self.repeats or self.is_large:
            written = encode_within(response, self.max_bytes, DEEP if self.is_large else LEVELS)
        else:
            written = orjson.dumps(response, option=STORED)
        if written is None or len(written) > self.max_bytes:
            return orjson.dumps(self._too_large())
        return written

    def _too_large(self) -> dict[str, Any]:
        error = ResponseTooLarge(self.max_bytes)
        response = {"data": None, "errors": [{"message": str(error), "extensions": error.extensions}]}
        return {**response, "extensions": self.extensions} if self.extensions else response


def outcome_of(
    result: ExecutionResult,
    context: OperationContext,
    told: Mapping[str, Any] | None,
    max_bytes: int,
    *,
    repeats: bool = True,
) -> Outcome:
    """Return what graphql-core or a plan came to, with its errors as clients see them; `told` are the extensions."""
    errors = masked(result.errors, context) if result.errors else ()
    return Outcome(result.data, errors, True, told, max_bytes, context.is_large, repeats)


def masked(errors: Sequence[GraphQLError] | None, context: OperationContext) -> tuple[Mapping[str, Any], ...]:
    """Return errors as clients see them."""
    return tuple(mask(errors or (), context.correlation_id))
