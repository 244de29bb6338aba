"""What of a document decides how its operation's fields are collected: its conditions, and no other variable."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLIncludeDirective,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLSkipDirective,
    OperationDefinitionNode,
    SelectionNode,
    VariableNode,
)
from graphql.execution.collect_fields import (
    FieldDetailsList,
    FragmentDetails,
    GroupedFieldSet,
    collect_fields,
    collect_subfields,
)
from graphql.execution.values import VariableValues

_CONDITIONS = frozenset({GraphQLSkipDirective.name, GraphQLIncludeDirective.name})


class Unplannable(Exception):  # It is no error: graphql-core does it.
    """A plan can't be made; `reason` is one of a few words, for the metric."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Fragments(NamedTuple):
    """A document's fragments by their names, as graphql-core takes them."""

    definitions: dict[str, FragmentDefinitionNode]
    details: dict[str, FragmentDetails]


def fragments_of(document: DocumentNode) -> Fragments:
    """Return the fragments of a document; they have no variables of their own."""
    definitions = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    return Fragments(definitions, {name: FragmentDetails(node) for name, node in definitions.items()})


@dataclass(frozen=True)
class Scope:
    """One operation with the values of its conditions. graphql-core collects, so the order of fields is its own."""

    schema: GraphQLSchema
    operation: OperationDefinitionNode
    fragments: Mapping[str, FragmentDetails]
    conditions: VariableValues

    def root_fields(self, root: GraphQLObjectType) -> GroupedFieldSet:
        """Return the fields of the operation itself."""
        fragments = dict(self.fragments)
        return collect_fields(self.schema, fragments, self.conditions, root, self.operation).grouped_field_set

    def fields_below(self, parent: GraphQLObjectType, details: FieldDetailsList) -> GroupedFieldSet:
        """Return the fields that are selected on a `parent` below a field."""
        fragments = dict(self.fragments)
        collected = collect_subfields(self.schema, fragments, self.conditions, self.operation, parent, details)
        return collected.grouped_field_set


def find_conditions(document: DocumentNode) -> frozenset[str]:
    """Return the variables that say which fields are there. Raises Unplannable for directives not understood."""
    variables: set[str] = set()
    for node in _nodes(document):
        for directive in getattr(node, "directives", None) or ():
            if directive.name.value not in _CONDITIONS:
                raise Unplannable("directive")
            values = (argument.value for argument in directive.arguments or ())
            variables.update(value.name.value for value in values if isinstance(value, VariableNode))
    return frozenset(variables)


def keep_conditions(values: VariableValues, names: frozenset[str]) -> VariableValues:
    """Return the values without those that may be large and another caller's."""
    sources = {name: source for name, source in values.sources.items() if name in names}
    return VariableValues(sources, {name: value for name, value in values.coerced.items() if name in names})


def _nodes(document: DocumentNode) -> Iterator[Any]:
    todo: list[SelectionNode] = []
    for definition in document.definitions:
        yield definition
        if isinstance(definition, FragmentDefinitionNode) and definition.variable_definitions:
            raise Unplannable("fragment variables")
        if isinstance(definition, OperationDefinitionNode | FragmentDefinitionNode):
            yield from definition.variable_definitions or ()
            todo.extend(definition.selection_set.selections)
    while todo:
        node = todo.pop()
        yield node
        below = getattr(node, "selection_set", None)
        if below:
            todo.extend(below.selections)


def name_of(details: FieldDetailsList) -> str:
    """Return the name of the field that all these nodes ask for."""
    node: FieldNode = details[0].node
    return node.name.value
