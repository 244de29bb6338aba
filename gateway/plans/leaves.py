"""How scalars and enums are written: as they are where that is plain to see, by the schema's own word otherwise."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from graphql import GraphQLBoolean, GraphQLEnumType, GraphQLFloat, GraphQLID, GraphQLInt, GraphQLLeafType, GraphQLString
from graphql.pyutils import Undefined
from strawberry.execution import optimized_is_awaitable
from strawberry.schema.schema_converter import CustomGraphQLEnumType
from strawberry.types.scalar import identity

from gateway.plans.code import Code, give_up
from gateway.schema.scalars import write_date_time, write_moment

PLAIN: Mapping[GraphQLLeafType, str] = {
    GraphQLString: "type({v}) is str",
    GraphQLID: "type({v}) is str",
    GraphQLInt: "type({v}) is int and -2147483648 <= {v} <= 2147483647",
    GraphQLFloat: "type({v}) is float and {v} - {v} == 0.0",
    GraphQLBoolean: "{v} is True or {v} is False",
}
"""When a value is read or written as it is. What is left out, such as an Int that came as text, the schema knows."""
_JSON_TYPES = frozenset({dict, list, str, int, float, bool})


def leaf_expression(
    type_: GraphQLLeafType, variable: str, *, nullable: bool, read: bool, code: Code, earlier: str | None = None
) -> str:
    """Return the code that makes a variable's value what the response holds; the code raises where it can't.

    `read` says that it is what `read_attribute` would have turned to text if it were a UUID. `earlier` is the variable
    of the moment that the object told before: what has never been changed was changed when it was made.
    """
    other = f"{code.constant(_completer(type_, read=read))}({variable})"
    if nullable:
        other = f"None if {variable} is None else {other}"
    if isinstance(type_, GraphQLEnumType):
        names = _names(type_)
        if not names:
            return f"({other})"
        enum = code.constant(type(next(iter(names))))
        return f"({code.constant(names)}[{variable}] if type({variable}) is {enum} else {other})"
    if is_moment(type_):
        written = f"{code.constant(write_moment)}({variable})"
        if earlier is not None:  # Where clocks are put back, moments that are equal may be an hour apart; not in UTC.
            written = f"(t{earlier} if {variable}.tzinfo is None and {variable} == {earlier} else {written})"
        return f"(t{variable} := {written} if type({variable}) is {code.constant(datetime)} else {other})"
    test = _test(type_, code)
    if read and (type_ is GraphQLID or type_ is GraphQLString):
        uuid = f"type({{v}}) is {code.constant(UUID)}"  # Its JSON is its text.
        test = f"{uuid} or {test}" if type_ is GraphQLID else f"{test} or {uuid}"
    return f"({variable} if {test.format(v=variable)} else {other})" if test else f"({other})"


def is_moment(type_: object) -> bool:
    """Return whether a type's values are moments."""
    return getattr(type_, "coerce_output_value", None) is write_date_time


def _test(type_: GraphQLLeafType, code: Code) -> str:
    """Return when a value is written as it is, an empty text where the schema has to say."""
    if type_.coerce_output_value is identity:
        return f"type({{v}}) in {code.constant(_JSON_TYPES)}"
    return next((test for known, test in PLAIN.items() if known is type_), "")


def _names(type_: GraphQLEnumType) -> dict[Any, str]:
    """Return the names of a Python enum's members; of values that have no class of their own, none."""
    names: dict[Any, str] = {}
    if isinstance(type_, CustomGraphQLEnumType):
        members: list[Any] = list(type_.wrapped_cls)
        values = {value.value for value in type_.values.values()}
        names = {member: type_.coerce_output_value(member) for member in members if member.value in values}
    return names


def _completer(type_: GraphQLLeafType, *, read: bool) -> Callable[[Any], Any]:
    coerce = type_.coerce_output_value

    def complete(value: Any) -> Any:
        if read and type(value) is UUID:
            value = str(value)
        if value is None or value is Undefined or isinstance(value, Exception) or optimized_is_awaitable(value):
            give_up()
        written = coerce(value)
        if written is None or written is Undefined:
            give_up()
        return written

    return complete
