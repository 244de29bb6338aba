"""Pricing documents: from a valid document to what each of its operations costs, as a function of its variables."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, cast

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLCompositeType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    get_introspection_query,
    get_named_type,
    is_abstract_type,
    parse,
)

from gateway.guard.cost import PARTS, Program, Term, size_of
from gateway.guard.prices import ARGUMENT_ENTRY, DEFAULT_LIST_SIZE, Price, Prices
from gateway.guard.shape import INTROSPECTION, MANY

INTROSPECTION_COST = 500
MAX_DIGITS = 20
"""Of a number in a document that is still looked at: Python refuses to read those of thousands."""


@dataclass(frozen=True)
class OperationCost:
    """What an operation costs."""

    program: Program
    term: Term
    defaults: Mapping[str, Any]
    """Of variables that the document itself gives a size."""

    def evaluate(self, variables: Mapping[str, Any] | None) -> int:
        """Return the cost with these variables, which need not be of the right type."""
        if isinstance(self.term, int):
            return -(-self.term // PARTS)
        given = {**self.defaults, **(variables or {})} if self.defaults else variables or {}
        return -(-self.program.run(self.term, given) // PARTS)


class Pricing:
    """Prices the documents of one schema."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        self._prices = Prices(schema)
        usual = parse(get_introspection_query(input_value_deprecation=True, schema_description=True))
        [cost] = _Pricer(schema, self._prices, usual, 1.0).operations().values()
        self._introspection_scale = INTROSPECTION_COST / max(1, cost.evaluate(None))

    def price(self, document: DocumentNode) -> dict[str | None, OperationCost]:
        """Return the cost of each operation of a valid document by its name. Work is linear in the document."""
        return _Pricer(self._schema, self._prices, document, self._introspection_scale).operations()


@dataclass(frozen=True)
class _Part:
    """What a selection costs: once, and for each entry of the list whose size is said further up."""

    once: Term
    each: Term = 0


NOTHING = _Part(0)


class _Pricer:
    """Prices one document; each of its fragments once."""

    def __init__(self, schema: GraphQLSchema, prices: Prices, document: DocumentNode, scale: float) -> None:
        self._schema = schema
        self._prices = prices
        self._document = document
        self._introspection_scale = scale
        self._program = Program()
        self._fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        self._priced: dict[str, _Part] = {}

    def operations(self) -> dict[str | None, OperationCost]:
        """Return each operation's cost by its name."""
        costs: dict[str | None, OperationCost] = {}
        for node in self._document.definitions:
            if isinstance(node, OperationDefinitionNode):
                root = cast(GraphQLObjectType, self._schema.get_root_type(node.operation))
                part = self._selections(root, node.selection_set)
                name = node.name.value if node.name else None
                costs[name] = OperationCost(self._program, self._total(part), _defaults(node))
        return costs

    def _total(self, part: _Part, size: Term = DEFAULT_LIST_SIZE) -> Term:
        return self._program.sum((part.once, self._program.product(size, part.each)))

    def _add(self, parts: list[_Part]) -> _Part:
        return _Part(self._program.sum([part.once for part in parts]), self._program.sum([part.each for part in parts]))

    def _selections(self, type_: GraphQLCompositeType, selection_set: SelectionSetNode) -> _Part:
        """Return what a selection set costs; of what only some types have, what the costliest one has."""
        always: list[_Part] = []
        sometimes: dict[str, list[_Part]] = {}
        for node in selection_set.selections:
            if isinstance(node, FieldNode):
                always.append(self._field(type_, node))
                continue
            condition, part = self._fragment(type_, node)
            if condition is type_ or not is_abstract_type(type_):
                always.append(part)
            else:
                sometimes.setdefault(condition.name, []).append(part)
        if sometimes:
            always.append(self._costliest(type_, {name: self._add(parts) for name, parts in sometimes.items()}))
        return always[0] if len(always) == 1 else self._add(always)

    def _costliest(self, type_: GraphQLCompositeType, parts: Mapping[str, _Part]) -> _Part:
        conditions = {name: cast(GraphQLCompositeType, self._schema.type_map[name]) for name in parts}
        choices = [
            self._add(
                [
                    parts[name]
                    for name, condition in conditions.items()
                    if condition is possible
                    or (is_abstract_type(condition) and self._schema.is_sub_type(condition, possible))
                ]
            )
            for possible in self._schema.get_possible_types(type_)  # type: ignore[arg-type]  # It is abstract.
        ]
        return _Part(
            self._program.greatest([choice.once for choice in choices]),
            self._program.greatest([choice.each for choice in choices]),
        )

    def _fragment(self, type_: GraphQLCompositeType, node: SelectionNode) -> tuple[GraphQLCompositeType, _Part]:
        """Return the type that a fragment is for, and what it costs there."""
        if isinstance(node, InlineFragmentNode):
            condition = self._type(node.type_condition.name.value) if node.type_condition else type_
            return condition, self._selections(condition, node.selection_set)
        name = node.name.value  # type: ignore[attr-defined]  # What is left is a spread.
        fragment = self._fragments[name]
        condition = self._type(fragment.type_condition.name.value)
        if name not in self._priced:
            self._priced[name] = self._selections(condition, fragment.selection_set)
        return condition, self._priced[name]

    def _type(self, name: str) -> GraphQLCompositeType:
        return cast(GraphQLCompositeType, self._schema.type_map[name])

    def _field(self, type_: GraphQLCompositeType, node: FieldNode) -> _Part:
        name = node.name.value
        price = self._prices.find(type_.name, name)
        inner = self._inner(type_, node)
        if name in INTROSPECTION:
            total = self._total(inner)
            assert isinstance(total, int)  # No size in there comes from a variable.
            return _Part(ceil(total * self._introspection_scale))
        arguments = {argument.name.value: argument.value for argument in node.arguments or ()}
        lengths = [self._size(arguments[one], 1, MANY) for one in price.list_arguments if one in arguments]
        once = [price.weight, *(self._program.product(ARGUMENT_ENTRY, length) for length in lengths)]
        if price.has_sized_fields:
            once.append(self._total(inner, self._asked(price, arguments)))
        elif price.entry and self._prices.is_sized_above(type_.name, name):
            return _Part(self._program.sum(once), self._program.sum((price.entry, self._total(inner))))
        elif price.entry:
            entry = self._program.sum((price.entry, self._total(inner)))
            size = self._asked(price, arguments)
            once.append(self._program.product(size, entry))
        else:
            once.append(self._total(inner))
        return _Part(self._program.sum(once))

    def _inner(self, type_: GraphQLCompositeType, node: FieldNode) -> _Part:
        if node.selection_set is None:
            return NOTHING
        if node.name.value in INTROSPECTION:
            inner = "__Schema" if node.name.value == "__schema" else "__Type"
            return self._selections(self._type(inner), node.selection_set)
        assert isinstance(type_, GraphQLObjectType | GraphQLInterfaceType)  # A union has no fields but __typename.
        inner_type = cast(GraphQLCompositeType, get_named_type(type_.fields[node.name.value].type))
        return self._selections(inner_type, node.selection_set)

    def _asked(self, price: Price, arguments: Mapping[str, ValueNode]) -> Term:
        """Return how many entries a field's arguments ask for."""
        slicing = [arguments[name] for name in price.slicing_arguments if name in arguments]
        given = [self._size(value, price.size, price.most) for value in slicing]
        return self._program.greatest(given) if given else price.size

    def _size(self, value: ValueNode, unset: int, most: int) -> Term:
        if isinstance(value, VariableNode):
            return self._program.size(value.name.value, unset, most)
        known = _literal_size(value)
        return unset if known is None else min(most, known)


def _literal_size(value: ValueNode) -> int | None:
    if isinstance(value, ListValueNode):
        return len(value.values)
    if isinstance(value, IntValueNode):
        return size_of(int(value.value), 0) if len(value.value) < MAX_DIGITS else MANY
    return None


def _defaults(operation: OperationDefinitionNode) -> dict[str, Any]:
    """Return the sizes that an operation gives its own variables, as values that a client could have sent."""
    defaults: dict[str, Any] = {}
    for definition in operation.variable_definitions or ():
        default = definition.default_value
        if default is not None and (size := _literal_size(default)) is not None:
            name = definition.variable.name.value
            defaults[name] = [None] * size if isinstance(default, ListValueNode) else size
    return defaults
