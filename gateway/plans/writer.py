"""Writes the code that renders a resolved value."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from keyword import iskeyword
from typing import Any

from graphql import (
    BooleanValueNode,
    EnumValueNode,
    FieldNode,
    FloatValueNode,
    GraphQLAbstractType,
    GraphQLError,
    GraphQLField,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLResolveInfo,
    IntValueNode,
    NullValueNode,
    StringValueNode,
    is_abstract_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
)
from graphql.execution.collect_fields import FieldDetailsList, GroupedFieldSet
from graphql.execution.values import get_argument_values
from graphql.pyutils import Undefined
from strawberry.execution import optimized_is_awaitable
from strawberry.types.field import StrawberryField

from gateway.plans.code import Code, give_up
from gateway.plans.inputs import UNCHANGING
from gateway.plans.leaves import leaf_expression
from gateway.plans.scope import Scope, Unplannable, name_of
from gateway.schema.scalars import read_attribute
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

    def spend(self) -> None:
        """Count a field. Raises Unplannable when there are too many."""
        self.fields_left -= 1
        if self.fields_left < 0:
            raise Unplannable("size")


class Gate:
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


class Writer:
    """Writes one renderer, with a function for each object that is selected in it."""

    def __init__(self, scope: Scope, ledger: Ledger) -> None:
        self._scope = scope
        self._ledger = ledger
        self._code = Code()

    def render(self, type_: GraphQLOutputType, place: Place) -> Render:
        """Return what renders a value of a type at a place. Raises Unplannable."""
        expression = self._complete("v", type_, place, read=False)
        self._code.add(f"def render(v, x): return {expression}")
        render: Render = self._code.compile("render")
        return render

    def _info(self, place: Place) -> str:
        self._ledger.places.append(place)
        return f"x[{len(self._ledger.places) - 1}]"

    def _complete(self, variable: str, type_: GraphQLOutputType, place: Place, *, read: bool) -> str:
        """Return the code that makes of a variable's value what the response holds."""
        nullable = not is_non_null_type(type_)
        inner: Any = type_ if nullable else type_.of_type  # type: ignore[union-attr]
        if is_leaf_type(inner):
            return leaf_expression(inner, variable, nullable=nullable, read=read, code=self._code)
        if is_list_type(inner):
            entry = self._code.name("i")
            entries = self._complete(entry, inner.of_type, place, read=False)
            code = f"([{entries} for {entry} in {variable}] if type({variable}) is list else give_up())"
        elif is_object_type(inner):
            of_object, of_dict = self.write_object(inner, place)
            code = f"({of_dict} if type({variable}) is dict else {of_object})({variable}, x)"
        elif is_abstract_type(inner):
            code = self._write_abstract(variable, inner, place)
        else:
            raise Unplannable("type")
        return f"(None if {variable} is None else {code})" if nullable else code

    def write_object(self, type_: GraphQLObjectType, place: Place) -> tuple[str, str]:
        """Write the functions that render an object and a dict as a type, and return their names."""
        written, reads = [], []
        selected = self._scope.fields_below(type_, place.details)
        self._ledger.repeats |= repeat(selected)
        for key, details in selected.items():
            self._ledger.spend()
            variable = self._code.name("v")
            name = name_of(details)
            if name == "__typename":
                typename = self._code.constant(type_.name)
                reads.append((variable, typename, typename))
                written.append(f"{self._code.constant(key)}: {variable}")
                continue
            below = Place(type_.fields[name], type_, details)
            of_object, of_dict, read = self._read(below)
            reads.append((variable, of_object, of_dict))
            code = self._complete(variable, below.field.type, below, read=read)
            written.append(f"{self._code.constant(key)}: {code}")
        gate = Gate(
            getattr(type_.extensions[DEFINITION].origin, "sources", ()) if DEFINITION in type_.extensions else ()
        )
        checks = [f" if type(s) not in {self._code.constant(gate.seen)}: {self._code.constant(gate.admit)}(s)"]
        if type_.is_type_of is not None and not gate.sources:
            checks.append(f" if {self._code.constant(type_.is_type_of)}(s, {self._info(place)}) is not True: give_up()")
        answer = f" return {{{', '.join(written)}}}"
        of_object, of_dict = self._code.name("o"), self._code.name("d")
        self._code.add(f"def {of_object}(s, x):", *checks)
        self._code.add(*(f" {variable} = {code}" for variable, code, _ in reads), answer)
        if type_.is_type_of is not None:
            return of_object, of_object  # What says of itself what it is, is no stored JSON.
        self._code.add(f"def {of_dict}(s, x):", " get = s.get")
        self._code.add(*(f" {variable} = {code}" for variable, _, code in reads), answer)
        return of_object, of_dict

    def _read(self, place: Place) -> tuple[str, str, bool]:
        """Return how a field's value is got from an object and from a dict, and whether `read_attribute` would."""
        definition = place.field.extensions.get(DEFINITION)
        if not isinstance(definition, StrawberryField) or definition.is_async or place.field.resolve is None:
            raise Unplannable("resolver")
        name = definition.python_name
        plain = definition.is_basic_field and definition.default_resolver is read_attribute
        if plain and name.isidentifier() and not iskeyword(name):
            return f"s.{name}", f"get({name!r})", True
        if definition.extensions:
            raise Unplannable("resolver")
        arguments = "".join(f", **{self._code.constant(given)}" for given in [unchanging_arguments(place)] if given)
        call = f"{self._code.constant(place.field.resolve)}(s, {self._info(place)}{arguments})"
        return call, call, False

    def _write_abstract(self, variable: str, type_: GraphQLAbstractType, place: Place) -> str:
        if type_.resolve_type is None:
            raise Unplannable("type")
        table: dict[str, str] = {}
        for possible in self._scope.schema.get_possible_types(type_):
            of_object, of_dict = self.write_object(possible, place)
            self._code.add(f"def t{of_object}(v, x): return ({of_dict} if type(v) is dict else {of_object})(v, x)")
            table[possible.name] = f"t{of_object}"
        name = self._code.name("a")
        entries = ", ".join(f"{self._code.constant(key)}: {value}" for key, value in table.items())
        self._code.add(f"{name} = {{{entries}}}")
        resolve = (
            f"{self._code.constant(type_.resolve_type)}({variable}, {self._info(place)}, {self._code.constant(type_)})"
        )
        return f"{name}[{resolve}]({variable}, x)"


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
