"""Where a document selects fields, and what all parts of one plan share."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from graphql import (
    BooleanValueNode,
    EnumValueNode,
    FieldNode,
    FloatValueNode,
    GraphQLError,
    GraphQLField,
    GraphQLObjectType,
    GraphQLResolveInfo,
    IntValueNode,
    NullValueNode,
    StringValueNode,
)
from graphql.execution.collect_fields import FieldDetailsList, GroupedFieldSet
from graphql.execution.values import get_argument_values
from graphql.pyutils import Undefined
from strawberry.execution import optimized_is_awaitable

from gateway.plans.code import give_up
from gateway.plans.inputs import UNCHANGING
from gateway.plans.scope import Unplannable, name_of
from gateway.schema.selection import KeptNodes

DEFINITION = "strawberry-definition"
LITERALS = (BooleanValueNode, EnumValueNode, FloatValueNode, IntValueNode, NullValueNode, StringValueNode)
MAX_FIELDS = 500
"""Of a plan, each counted wherever it is selected: fragments in fragments grow without bound. It takes 0.1 ms to write
and compile one, and the event loop waits (measured 2026-11)."""


@dataclass(frozen=True)
class Place:
    """A field where it is selected: what its resolver, and the types of its values, are told about it."""

    field: GraphQLField
    parent: GraphQLObjectType
    details: FieldDetailsList

    @cached_property
    def nodes(self) -> list[FieldNode]:
        """Where the document selects it."""
        return KeptNodes(details.node for details in self.details)


Infos = dict[int, GraphQLResolveInfo[Any]]
Render = Callable[[Any, Infos], Any]


@dataclass
class Ledger:
    """What all parts of one plan share: the places that their code refers to by index, and how many fields are left."""

    places: list[Place] = field(default_factory=list)
    fields_left: int = MAX_FIELDS
    repeats: bool = False
    """Whether a field of one object is selected under two names."""

    def add(self, place: Place) -> int:
        """Add a place and return its index."""
        self.places.append(place)
        return len(self.places) - 1

    def spend(self) -> None:
        """Count a field. Raises Unplannable when there are too many."""
        self.fields_left -= 1
        if self.fields_left < 0:
            raise Unplannable("size")


class Classes:
    """Which classes a type's values are of: any that graphql-core takes for values, or the type's own `sources`."""

    def __init__(self, sources: tuple[type, ...]) -> None:
        self.sources = sources
        self.seen: set[type] = set()

    def admit(self, source: Any) -> None:
        """Let objects of this class be read. Raises Unfit."""
        if source is None or source is Undefined or isinstance(source, Exception) or optimized_is_awaitable(source):
            give_up()
        if self.sources and not isinstance(source, self.sources):
            give_up()
        self.seen.add(type(source))


def repeat(fields: GroupedFieldSet) -> bool:
    """Return whether a field is selected under two names."""
    return len({name_of(details) for details in fields.values()}) < len(fields)


def unchanging_arguments(place: Place) -> dict[str, Any]:
    """Return what a field's resolver is given each time. Raises Unplannable where that hangs on variables."""
    node = place.details[0].node
    if any(not isinstance(argument.value, LITERALS) for argument in node.arguments or ()):
        raise Unplannable("arguments")
    try:
        given = get_argument_values(place.field, node)
    except GraphQLError:
        raise Unplannable("arguments") from None
    if any(not isinstance(value, UNCHANGING) for value in given.values()):
        raise Unplannable("arguments")
    return given
