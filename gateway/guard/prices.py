"""What each field of a schema costs, read from the directives that its fields declare.

| what                        | costs                                                                                 |
|-----------------------------|---------------------------------------------------------------------------------------|
| a field of a scalar or enum | its `@cost`, 0.1 without one                                                          |
| a field of an object        | its `@cost`, 1 without one, and what is selected in it                                |
| a field of a list           | the same once, and for each entry 1 (0.1 for a scalar) and what is selected in it     |
| a list as an argument       | 1 for each entry                                                                      |
| `__schema`, `__type`        | 500, multiplied by how much larger the work is than that of the usual introspection  |

A list has as many entries as its `@listSize` says, 100 without one. On an interface or union, only the costliest type
counts. The numbers come from a measurement: graphql-core resolves a field in 5 to 7 µs, so a cost of 1 stands for
up to 60 µs of the event loop, and the usual introspection takes 27 ms. Were plain values free, aliases and wide types
would make one entry ten times as dear as the next.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

from graphql import (
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
    get_nullable_type,
    is_leaf_type,
    is_list_type,
)

from gateway.guard.cost import PARTS
from gateway.guard.directives import Cost, ListSize
from gateway.guard.shape import MANY

DEFAULT_LIST_SIZE = 100
LEAF = 1
NODE = PARTS
ARGUMENT_ENTRY = PARTS


@dataclass(frozen=True)
class Price:
    """What one field costs, in tenths."""

    weight: int
    """Of resolving it once."""
    entry: int
    """Of each entry, 0 if it is not a list."""
    size: int
    """How many entries count when no argument says otherwise; those of its sized fields, if it has some."""
    most: int = MANY
    """How many entries count whatever is asked for, because the field refuses to give more."""
    slicing_arguments: tuple[str, ...] = ()
    has_sized_fields: bool = False
    list_arguments: tuple[str, ...] = ()


PLAIN = Price(weight=LEAF, entry=0, size=1)


class Prices:
    """The prices of one schema."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._prices: dict[tuple[str, str], Price] = {}
        self._sized: set[tuple[str, str]] = set()
        sizes = _introspection_sizes(schema)
        for type_, name, field in _fields(schema):
            declared = getattr(field.extensions.get("strawberry-definition"), "directives", ())
            cost = next((one for one in declared if isinstance(one, Cost)), None)
            list_size = next((one for one in declared if isinstance(one, ListSize)), None)
            assumed = sizes.get((type_.name, name), DEFAULT_LIST_SIZE)
            self._prices[type_.name, name] = _price(field, cost, list_size, assumed)
            if list_size is not None:
                inner = get_named_type(field.type).name
                self._sized.update((inner, one) for one in list_size.sized_fields or ())

    def find(self, type_name: str, field_name: str) -> Price:
        """Return a field's price; that of a plain value for `__typename`, which no type declares."""
        return self._prices.get((type_name, field_name), PLAIN)

    def is_sized_above(self, type_name: str, field_name: str) -> bool:
        """Whether the size of a list is said by an argument of the field that its parent stands in."""
        return (type_name, field_name) in self._sized


def _fields(schema: GraphQLSchema) -> Iterator[tuple[GraphQLNamedType, str, GraphQLField]]:
    for type_ in schema.type_map.values():
        if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType):
            for name, field in type_.fields.items():
                yield type_, name, field


def _price(field: GraphQLField, cost: Cost | None, list_size: ListSize | None, assumed: int) -> Price:
    is_list = is_list_type(get_nullable_type(field.type))
    of_leaves = is_leaf_type(get_named_type(field.type))
    weight = LEAF if of_leaves and not is_list else NODE
    entry = LEAF if of_leaves else NODE
    return Price(
        weight=round(float(cost.weight) * PARTS) if cost else weight,
        entry=entry if is_list else 0,
        size=(list_size.assumed_size if list_size else None) or assumed,
        most=(list_size.maximum if list_size else None) or MANY,
        slicing_arguments=tuple((list_size.slicing_arguments if list_size else None) or ()),
        has_sized_fields=bool(list_size and list_size.sized_fields),
        list_arguments=tuple(
            name for name, argument in field.args.items() if is_list_type(get_nullable_type(argument.type))
        ),
    )


def _introspection_sizes(schema: GraphQLSchema) -> dict[tuple[str, str], int]:
    """Return how long the lists of introspection are in this schema on average, by type and field."""
    types = list(schema.type_map.values())
    composite = [one for one in types if isinstance(one, GraphQLObjectType | GraphQLInterfaceType)]
    fields = [field for one in composite for field in one.fields.values()]
    inputs = [one for one in types if isinstance(one, GraphQLInputObjectType)]

    def mean(amounts: list[int]) -> int:
        return max(1, ceil(sum(amounts) / max(1, len(types))))

    return {
        ("__Schema", "types"): len(types),
        ("__Schema", "directives"): len(schema.directives),
        ("__Directive", "args"): 2,
        ("__Directive", "locations"): 4,
        ("__Field", "args"): max(1, ceil(sum(len(field.args) for field in fields) / max(1, len(fields)))),
        ("__Type", "fields"): mean([len(one.fields) for one in composite]),
        ("__Type", "interfaces"): mean([len(one.interfaces) for one in composite]),
        ("__Type", "inputFields"): mean([len(one.fields) for one in inputs]),
        ("__Type", "possibleTypes"): 1,
        ("__Type", "enumValues"): mean([len(getattr(one, "values", ())) for one in types]),
    }
