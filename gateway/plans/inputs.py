"""How values that clients give are read: the code that coerces one as graphql-core does, and converts it as Strawberry.

The code knows good values only. Of others it raises something, and graphql-core says what is wrong with them.
"""

from dataclasses import MISSING
from enum import Enum
from typing import Any

from graphql import (
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLLeafType,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    is_required_input_field,
)
from graphql.pyutils import Undefined
from graphql.utilities.coerce_input_value import coerce_default_value
from strawberry.relay import GlobalID
from strawberry.schema import Schema
from strawberry.schema.schema_converter import CustomGraphQLEnumType
from strawberry.types.arguments import _is_leaf_type
from strawberry.types.base import StrawberryList, StrawberryMaybe, StrawberryOptional, has_object_definition
from strawberry.types.enum import has_enum_definition
from strawberry.types.lazy_type import LazyType
from strawberry.types.scalar import identity

from gateway.plans.code import Code, give_up
from gateway.plans.leaves import PLAIN
from gateway.plans.scope import Unplannable

MAX_INPUT_FIELDS = 200
"""Of the types of one operation's variables and arguments, each counted wherever it is written."""
UNCHANGING = (bool, int, float, str, Enum, type(None))
"""What one plan may hand on again and again, whatever a resolver does with it."""


class Inputs:
    """Writes into one code how inputs of any type are read."""

    def __init__(self, code: Code) -> None:
        self._code = code
        self._fields_left = MAX_INPUT_FIELDS
        self._under_way: set[str] = set()

    def coerced(self, type_: GraphQLInputType, variable: str) -> str:
        """Return the code that coerces a variable's value, which came as JSON. Raises Unplannable."""
        nullable = not is_non_null_type(type_)
        inner: Any = type_ if nullable else type_.of_type  # type: ignore[union-attr]
        if is_leaf_type(inner):
            code = self._coerced_leaf(inner, variable)
        elif is_list_type(inner):
            entry = self._code.name("i")
            entries = self.coerced(inner.of_type, entry)
            code = f"([{entries} for {entry} in {variable}] if type({variable}) is list else give_up())"
        else:
            code = f"{self._coerced_object(inner)}({variable})"
        return f"(None if {variable} is None else {code})" if nullable else code

    def _coerced_leaf(self, type_: GraphQLLeafType, variable: str) -> str:
        if isinstance(type_, CustomGraphQLEnumType):
            names = {name: type_.coerce_input_value(name) for name in type_.values}
            return f"({self._code.constant(names)}[{variable}] if type({variable}) is str else give_up())"
        other = f"{self._code.constant(_coercer(type_))}({variable})"
        plain = next((test for known, test in PLAIN.items() if known is type_), None)
        if plain is None and type_.coerce_input_value is identity:
            plain = "{v} is not None"
        return f"({variable} if {plain.format(v=variable)} else {other})" if plain else other

    def _coerced_object(self, type_: GraphQLInputObjectType) -> str:
        """Write a function that coerces a dict, and return its name."""
        if type_.is_one_of or type_.out_type is not GraphQLInputObjectType.out_type:
            raise Unplannable("arguments")
        self._enter(type_.name)
        lines = [" if type(s) is not dict: give_up()", " r = {}", " n = len(s)"]
        for name, field in type_.fields.items():
            self.spend()
            key = self._code.constant(field.out_name or name)
            lines += [f" if {name!r} in s:", f"  v = s[{name!r}]", f"  r[{key}] = {self.coerced(field.type, 'v')}"]
            lines.append("  n -= 1")
            if is_required_input_field(field):
                lines.append(" else: give_up()")
            elif (default := coerce_default_value(field)) is not Undefined:
                lines.append(f" else: r[{key}] = {self._code.constant(default)}")
        function = self._code.name("f")
        self._code.add(f"def {function}(s):", *lines, " if n: give_up()", " return r")
        self._under_way.discard(type_.name)
        return function

    def converted(self, type_: Any, variable: str, schema: Schema) -> str:
        """Return the code that makes of a coerced value what a resolver is given. Raises Unplannable."""
        if isinstance(type_, StrawberryMaybe) or type_ is GlobalID:
            raise Unplannable("arguments")
        if isinstance(type_, StrawberryOptional):
            return self.converted(type_.of_type, variable, schema)
        if isinstance(type_, LazyType):
            return self.converted(type_.resolve_type(), variable, schema)
        registry = schema.schema_converter.scalar_registry
        if isinstance(type_, StrawberryList):
            entry = self._code.name("i")
            entries = self.converted(type_.of_type, entry, schema)
            code = f"list({variable})" if entries == entry else f"[{entries} for {entry} in {variable}]"
        elif _is_leaf_type(type_, registry) or has_enum_definition(type_):
            return variable
        elif has_object_definition(type_):
            code = f"{self._converted_object(type_, schema)}({variable})"
        else:
            raise Unplannable("arguments")
        return f"(None if {variable} is None else {code})"

    def _converted_object(self, type_: type, schema: Schema) -> str:
        """Write a function that makes an instance of an input type from a dict, and return its name."""
        definition: Any = type_.__strawberry_definition__  # type: ignore[attr-defined]
        if definition.from_input is not None or not definition.is_input:
            raise Unplannable("arguments")
        self._enter(definition.name)
        lines = [" k = {}"]
        for field in definition.fields:
            self.spend()
            name = schema.config.name_converter.from_field(field)
            value = self.converted(field.resolve_type(type_definition=definition), "v", schema)
            lines += [f" if {name!r} in s:", f"  v = s[{name!r}]", f"  k[{field.python_name!r}] = {value}"]
            if field.default_value is MISSING and field.default_factory is MISSING:
                lines.append(f" else: k[{field.python_name!r}] = None")
        function = self._code.name("f")
        self._code.add(f"def {function}(s):", *lines, f" return {self._code.constant(type_)}(**k)")
        self._under_way.discard(definition.name)
        return function

    def _enter(self, name: str) -> None:
        """Begin a type. Raises Unplannable for one inside itself."""
        if name in self._under_way:
            raise Unplannable("arguments")
        self._under_way.add(name)

    def spend(self) -> None:
        self._fields_left -= 1
        if self._fields_left < 0:
            raise Unplannable("size")

    @property
    def fields(self) -> int:
        """How many fields of input objects were written."""
        return MAX_INPUT_FIELDS - self._fields_left


def _coercer(type_: GraphQLLeafType) -> Any:
    coerce = type_.coerce_input_value

    def coerced(value: Any) -> Any:
        if value is None:
            give_up()
        found = coerce(value)
        if found is Undefined:
            give_up()
        return found

    return coerced
