"""From a text to a document that is safe to execute: parsed, measured, validated and priced, once.

The order matters. The size of the text bounds reading it, the number of tokens bounds everything after, the shape is
measured before validation, and validation's own comparing of fields has a budget.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from graphql import (
    ASTValidationRule,
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    OperationType,
    OverlappingFieldsCanBeMergedRule,
    ValidationContext,
    parse,
    specified_rules,
    validate,
)
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from gateway.guard.cache import Cache
from gateway.guard.pricing import OperationCost, Pricing
from gateway.guard.shape import measure
from gateway.plans.plan import Pace, Plans
from gateway.plans.scope import Fragments, fragments_of
from gateway.transports.limits import EdgeLimits

MAX_VALIDATION_ERRORS = 20
MAX_NESTING = 64
"""Of braces, those of fragments included: what validating and pricing may recurse. Depth counts fields only."""
COMPARISON_BUDGET = 20_000
"""Of graphql-core's check that equal fields can be merged: usual documents use some hundreds. Its own default, 500,000,
let 490 equal fields hold the event loop for 0.9 s; with this it is 0.1 s at the most (measured 2026-11)."""
REFUSALS_SHARE = 4
"""What part of the cache remembers refused documents, so that asking again is no way to keep a processor busy."""
TOKEN_BYTES = 500
"""Of memory, for a token's share of the tree (400 measured) and of the price."""
ENTRY_BYTES = 2_000
READING_COST = 50
"""Of a document that was not read before, in the unit of `gateway.guard.prices`: 3 ms of the event loop. Usual ones
take less and come once; the worst that the limits allow take some 100 ms."""
ERROR_BYTES = 1_000

Errors = tuple[Mapping[str, Any], ...]


class Rejected(Exception):
    """The document is not executed, whoever asks; `errors` are as a response carries them."""

    def __init__(self, errors: Errors) -> None:
        super().__init__(errors[0]["message"])
        self.errors = errors


@dataclass(frozen=True)
class Prepared:
    """A valid document and one operation of it."""

    document: DocumentNode
    operation: OperationDefinitionNode
    fragments: Fragments
    cost: OperationCost
    plans: Plans

    @property
    def type(self) -> OperationType:
        """Query, mutation or subscription."""
        return self.operation.operation

    @cached_property
    def is_query(self) -> bool:
        """Whether it changes nothing, and is answered once."""
        return self.type is OperationType.QUERY

    @cached_property
    def label(self) -> str:
        """The same as the metrics tell it."""
        return self.type.value


@dataclass(frozen=True)
class Document:
    """A valid document within the limits, and its operations by their names; the only one also under None."""

    node: DocumentNode
    operations: Mapping[str | None, Prepared]


class BudgetedOverlapRule(OverlappingFieldsCanBeMergedRule):
    """graphql-core's rule with a smaller budget."""

    def __init__(self, context: ValidationContext) -> None:
        super().__init__(context)
        self.rule_context.remaining_complexity_budget = COMPARISON_BUDGET


def rules(*, introspection: bool) -> tuple[type[ASTValidationRule], ...]:
    """Return the rules of validation: the specification's, Strawberry's, and none of introspection if it is off."""
    usual = [BudgetedOverlapRule if rule is OverlappingFieldsCanBeMergedRule else rule for rule in specified_rules]
    added = (MaybeNullValidationRule, OneOfInputValidationRule)
    return (*usual, *added) if introspection else (*usual, *added, NoSchemaIntrospectionCustomRule)


class Documents:
    """The documents of one schema."""

    def __init__(self, schema: GraphQLSchema, limits: EdgeLimits) -> None:
        self._schema = schema
        self._limits = limits
        self._rules = rules(introspection=limits.introspection)
        self._pricing = Pricing(schema)
        refusals_bytes = limits.document_cache_bytes // REFUSALS_SHARE
        self._pace = Pace()
        self._known: Cache[Document] = Cache(limits.document_cache_bytes - refusals_bytes)
        self._refused: Cache[Errors] = Cache(refusals_bytes)

    def knows(self, text: str) -> bool:
        """Return whether reading this text takes no time."""
        return text in self._known or text in self._refused or len(text) > self._limits.max_document_chars

    def find(self, text: str) -> Document | None:
        """Return the document that a text is if it was read before and is valid, else None."""
        return self._known.find(text)

    def read(self, text: str) -> Document:
        """Return the document that a text is. Raises Rejected."""
        document = self._known.find(text)
        if document is None:
            errors = self._refused.find(text)
            if errors is not None:
                raise Rejected(errors)
            document = self._read_new(text)
        return document

    def _read_new(self, text: str) -> Document:
        try:
            self._check_length(text)
            node = self._parse(text)
            self._check_shape(node)
            self._validate(node)
        except Rejected as rejected:
            size = 2 * len(text) + ENTRY_BYTES + ERROR_BYTES * len(rejected.errors)
            self._refused.keep(text, rejected.errors, size)
            raise
        plans = Plans(self._schema, node, partial(self._known.grow, text), self._pace)
        document = Document(node, _operations(node, self._pricing.price(node), plans))
        self._known.keep(text, document, 2 * len(text) + ENTRY_BYTES + TOKEN_BYTES * (node.token_count or 0))
        return document

    def _check_length(self, text: str) -> None:
        allowed = self._limits.max_document_chars
        if len(text) > allowed:
            raise _too_much("characters", f"{allowed} characters; large values belong in variables", allowed, len(text))

    def _parse(self, text: str) -> DocumentNode:
        limit = self._limits.max_document_tokens
        try:
            return parse(text, max_lexical_tokens=limit, allow_empty_selection_sets=False)
        except GraphQLError as error:
            # These two limits of the parser have no class of their own.
            aborted = error.message.endswith("Parsing aborted.")
            raise _rejected("QUERY_TOO_COMPLEX" if aborted else "GRAPHQL_PARSE_FAILED", [error]) from None

    def _check_shape(self, node: DocumentNode) -> None:
        shape, limits = measure(node), self._limits
        for name, words, actual, allowed in (
            ("depth", "levels of fields", shape.depth, limits.max_depth),
            ("aliases", "aliases in an operation", shape.aliases, limits.max_aliases),
            ("rootFields", "root fields in an operation", shape.root_fields, limits.max_root_fields),
            ("directives", "directives", shape.directives, limits.max_directives),
            ("nesting", "levels of braces", shape.nesting, MAX_NESTING),
        ):
            if actual > allowed:
                raise _too_much(name, f"{allowed} {words}, fragments included", allowed, actual)

    def _validate(self, node: DocumentNode) -> None:
        hidden = not self._limits.suggestions
        errors = validate(self._schema, node, self._rules, MAX_VALIDATION_ERRORS, hide_suggestions=hidden)
        if not errors:
            return
        # graphql-core stops like this when a budget is spent, and words it so for want of a class.
        aborted = errors[-1].message == "Validation aborted."
        raise _rejected("QUERY_TOO_COMPLEX" if aborted else "GRAPHQL_VALIDATION_FAILED", errors)


def _operations(
    node: DocumentNode, costs: Mapping[str | None, OperationCost], plans: Plans
) -> dict[str | None, Prepared]:
    fragments = fragments_of(node)
    prepared: dict[str | None, Prepared] = {}
    for definition in node.definitions:
        if isinstance(definition, OperationDefinitionNode):
            name = definition.name.value if definition.name else None
            prepared[name] = Prepared(node, definition, fragments, costs[name], plans)
    if len(prepared) == 1:
        [prepared[None]] = prepared.values()
    return prepared


def _too_much(limit: str, expected: str, allowed: int, actual: int) -> Rejected:
    message = f"Expected a document of at most {expected}; this one has {actual}"
    extensions = {"code": "QUERY_TOO_COMPLEX", "limit": limit, "allowed": allowed, "actual": actual}
    return Rejected(({"message": message, "extensions": extensions},))


def _rejected(code: str, errors: Sequence[GraphQLError]) -> Rejected:
    return Rejected(
        tuple({**error.formatted, "extensions": {**(error.extensions or {}), "code": code}} for error in errors)
    )
