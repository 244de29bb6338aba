"""From a document's text to its outcome, for every transport: parse and validate once, then execute.

The only place that parses and validates. Knows graphql-core and Strawberry's schema, but no transport.
"""

from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any, TypeGuard, cast

import orjson
import strawberry
from graphql import (
    DocumentNode,
    ExecutionResult,
    Executor,
    GraphQLError,
    OperationDefinitionNode,
    OperationType,
    create_source_event_stream,
    execute_root_selection_set,
    map_source_to_response_event,
    parse,
    specified_rules,
    validate,
)
from strawberry.execution import optimized_is_awaitable
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from gateway.context import OperationContext
from gateway.errors import mask
from gateway.metrics import OPERATIONS, RUNNING_OPERATIONS
from gateway.transports.limits import EdgeLimits

RULES = (*specified_rules, MaybeNullValidationRule, OneOfInputValidationRule)
MAX_VALIDATION_ERRORS = 20
LARGEST_SHARE = 8
"""A document that would take more than this part of the cache is not kept, so one can't evict all others."""


@dataclass(frozen=True)
class Outcome:
    """What an operation, or one event of it, came to. `began` is False when nothing was executed."""

    data: dict[str, Any] | None
    errors: tuple[Mapping[str, Any], ...] = ()
    began: bool = True

    def encode(self) -> bytes:
        """Return it as JSON; without `data` when nothing was executed, as the GraphQL specification asks (§7.1)."""
        if not self.began:
            return orjson.dumps({"errors": self.errors})
        if self.errors:
            return orjson.dumps({"data": self.data, "errors": self.errors})
        return orjson.dumps({"data": self.data})


class Refused(Exception):
    """The operation can't be executed; nothing has been."""

    def __init__(self, errors: Sequence[Mapping[str, Any]]) -> None:
        super().__init__(errors[0]["message"])
        self.errors = tuple(errors)

    @classmethod
    def because(cls, code: str, *errors: GraphQLError) -> "Refused":
        """Return a refusal for what is wrong with the request itself, under one code."""
        return cls([{**error.formatted, "extensions": {**(error.extensions or {}), "code": code}} for error in errors])

    @property
    def outcome(self) -> Outcome:
        """The refusal as what to answer."""
        return Outcome(None, self.errors, began=False)


@dataclass(frozen=True)
class Prepared:
    """A valid document and the one operation of it that was asked for."""

    document: DocumentNode
    operation: OperationDefinitionNode
    name: str | None

    @property
    def type(self) -> OperationType:
        """Query, mutation or subscription."""
        return self.operation.operation


class Operations:
    """Prepares and executes the operations of one schema.

    Strawberry's schema extensions are not run: what they would do (limits, masking, tracing) has its own place here.
    """

    def __init__(self, schema: strawberry.Schema, limits: EdgeLimits) -> None:
        self._schema = schema
        self._graphql_schema = schema._schema
        self._max_tokens = limits.max_document_tokens
        self._cache: OrderedDict[str, DocumentNode] = OrderedDict()
        self._cache_bytes = 0
        self._max_cache_bytes = limits.document_cache_bytes

    def prepare(self, text: str, operation_name: str | None) -> Prepared:
        """Return the operation of `text` that `operation_name` names (None or "": the only one). Raises Refused."""
        try:
            document = self._read_document(text)
            found = _find_operation(document, operation_name or None)
        except Refused:
            OPERATIONS.labels("unknown", "refused").inc()
            raise
        return Prepared(document, found, operation_name or None)

    def _read_document(self, text: str) -> DocumentNode:
        document = self._cache.get(text)
        if document is not None:
            self._cache.move_to_end(text)
            return document
        try:
            document = parse(text, max_lexical_tokens=self._max_tokens, allow_empty_selection_sets=False)
        except GraphQLError as error:
            raise Refused.because("GRAPHQL_PARSE_FAILED", error) from error
        errors = validate(self._graphql_schema, document, RULES, max_errors=MAX_VALIDATION_ERRORS)
        if errors:
            raise Refused.because("GRAPHQL_VALIDATION_FAILED", *errors)
        self._keep(text, document)
        return document

    def _keep(self, text: str, document: DocumentNode) -> None:
        if len(text) * LARGEST_SHARE > self._max_cache_bytes:
            return
        self._cache[text] = document
        self._cache_bytes += len(text)
        while self._cache_bytes > self._max_cache_bytes:
            oldest, _ = self._cache.popitem(last=False)
            self._cache_bytes -= len(oldest)

    def _build(
        self,
        prepared: Prepared,
        variables: Mapping[str, Any] | None,
        extensions: Mapping[str, Any] | None,
        context: OperationContext,
    ) -> Executor[Any]:
        """Coerce the variables and return the executor, of the class that gives Strawberry's resolvers their info."""
        built = self._schema.execution_context_class.build(
            self._graphql_schema,
            prepared.document,
            context_value=context,
            raw_variable_values=dict(variables or {}),
            operation_name=prepared.name,
            is_awaitable=cast("Callable[[Any], TypeGuard[Awaitable[Any]]]", optimized_is_awaitable),
            operation_extensions=dict(extensions or {}),
        )
        if isinstance(built, list):
            OPERATIONS.labels(prepared.type.value, "refused").inc()
            raise Refused(mask(built, context.correlation_id))
        return built

    async def run(
        self,
        prepared: Prepared,
        variables: Mapping[str, Any] | None,
        extensions: Mapping[str, Any] | None,
        context: OperationContext,
    ) -> Outcome:
        """Execute a query or mutation. Raises Refused when the variables don't fit."""
        executor = self._build(prepared, variables, extensions, context)
        outcome_label = "cancelled"
        with RUNNING_OPERATIONS.labels(prepared.type.value).track_inprogress():
            try:
                result = execute_root_selection_set(executor)
                outcome = _outcome(await result if isawaitable(result) else result, context)
                outcome_label = "errors" if outcome.errors else "ok"
            finally:
                OPERATIONS.labels(prepared.type.value, outcome_label).inc()
        return outcome

    async def stream(
        self,
        prepared: Prepared,
        variables: Mapping[str, Any] | None,
        extensions: Mapping[str, Any] | None,
        context: OperationContext,
    ) -> AsyncGenerator[Outcome, None]:
        """Execute a subscription: yield one outcome an event. Close it, and its source is closed.

        Ends with an outcome that has not begun when the source fails. Raises Refused when the variables don't fit.
        """
        executor = self._build(prepared, variables, extensions, context)
        outcome_label = "cancelled"
        with RUNNING_OPERATIONS.labels(prepared.type.value).track_inprogress():
            try:
                source = create_source_event_stream(executor)
                source = await source if isawaitable(source) else source
                if isinstance(source, ExecutionResult):
                    outcome_label = "errors"
                    yield Outcome(None, _masked(source.errors, context), began=False)
                    return
                async with aclosing(map_source_to_response_event(executor, source)) as results:
                    async for result in results:
                        yield _outcome(result, context)
                outcome_label = "ok"
            except Exception as exc:  # noqa: BLE001  # Whatever a source raises is masked and logged like a resolver's error.
                outcome_label = "errors"
                error = exc if isinstance(exc, GraphQLError) else GraphQLError(str(exc), original_error=exc)
                yield Outcome(None, _masked([error], context), began=False)
            finally:
                OPERATIONS.labels(prepared.type.value, outcome_label).inc()


def _find_operation(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if name is not None:
        operations = [node for node in operations if node.name and node.name.value == name]
    if len(operations) == 1:
        return operations[0]
    if name is not None:
        message = "operationName: expected the name of an operation in the document"
    elif operations:
        message = "operationName: expected a name, because the document holds several operations"
    else:
        message = "query: expected a document with an operation"
    raise Refused.because("OPERATION_RESOLUTION_FAILURE", GraphQLError(message))


def _outcome(result: ExecutionResult, context: OperationContext) -> Outcome:
    return Outcome(result.data, _masked(result.errors, context) if result.errors else ())


def _masked(errors: Sequence[GraphQLError] | None, context: OperationContext) -> tuple[Mapping[str, Any], ...]:
    return tuple(mask(errors or (), context.correlation_id))
