"""A root field's resolver, called with arguments that code made for the document converts, and nothing in between.

That is what Strawberry's own resolver does for a field without extensions. Where a field has some, or its arguments are
more than the code understands, Strawberry's resolver is called as graphql-core would.
"""

from collections.abc import Callable
from typing import Any

from graphql import GraphQLArgument, ValueNode, VariableNode, is_non_null_type, is_required_argument
from graphql.execution.values import VariableValues
from graphql.pyutils import Undefined
from graphql.utilities.coerce_input_value import coerce_default_value, coerce_input_literal
from strawberry.schema import Schema
from strawberry.types.field import StrawberryField

from gateway.context import OperationContext
from gateway.identity.rules import Guarded
from gateway.plans.code import Code, give_up
from gateway.plans.inputs import UNCHANGING, Inputs
from gateway.plans.places import DEFINITION, LITERALS, Place
from gateway.plans.scope import Unplannable

Arguments = Callable[[VariableValues], dict[str, Any]]
"""Makes what a resolver is given, of the variables. Raises anything where graphql-core has to look."""


class Call:
    """How the resolver of a field is called. Raises Unplannable where that takes Strawberry's own resolver."""

    def __init__(self, place: Place, schema: Schema) -> None:
        field, guarded = place.field.extensions.get(DEFINITION), place.field.resolve
        if type(field) is not StrawberryField or field.extensions or not isinstance(guarded, Guarded):
            raise Unplannable("resolver")
        resolver = field.base_resolver
        if schema.schema_converter._get_field_exception_handlers(field):
            raise Unplannable("resolver")
        if resolver is None or resolver.parent_parameter or resolver.root_parameter:
            raise Unplannable("resolver")
        self._field = field
        self._guarded = guarded
        self._info_class = schema.config.info_class
        self._function: Any = resolver.wrapped_func
        self._before = (None,) if resolver.self_parameter else ()
        self.info = resolver.info_parameter.name if resolver.info_parameter else None
        """The name by which the resolver takes Strawberry's info, None if it doesn't."""
        self.arguments, self.fields = _write_arguments(place, field, schema)

    def resolve(self, context: OperationContext, arguments: dict[str, Any], info: Any) -> Any:
        """Return what the resolver does, with graphql-core's info if it takes one. Raises Forbidden."""
        context.principal.require(self._guarded.role, self._guarded.name)
        if self.info is not None:
            arguments[self.info] = self._info_class(_raw_info=info, _field=self._field)
        return self._function(*self._before, **arguments)


def _write_arguments(place: Place, field: StrawberryField, schema: Schema) -> tuple[Arguments, int]:
    code = Code()
    inputs = Inputs(code)
    nodes = {argument.name.value: argument.value for argument in place.nodes[0].arguments or ()}
    lines = [" c = values.coerced", " k = {}"]
    for argument in field.arguments:
        name = schema.config.name_converter.from_argument(argument)
        definition = place.field.args[name]
        if name not in nodes and not is_required_argument(definition) and coerce_default_value(definition) is Undefined:
            continue
        inputs.spend()
        converted = inputs.converted(argument.type, "v", schema)
        lines += _argument(definition, nodes.get(name), f"k[{argument.python_name!r}]", converted, code)
    code.add("def arguments(values):", *lines, " return k")
    arguments: Arguments = code.compile("arguments")
    return arguments, inputs.fields


def _argument(
    definition: GraphQLArgument, node: ValueNode | None, target: str, converted: str, code: Code
) -> list[str]:
    """Return the lines that convert one argument, from where the document has it."""
    if isinstance(node, VariableNode):
        name = code.constant(node.name.value)
        lines = [f" if {name} in c:", f"  v = c[{name}]"]
        if is_non_null_type(definition.type):
            lines.append("  if v is None: give_up()")
        absent = _absent(definition, target, converted, code)
        return [*lines, f"  {target} = {converted}", *([" else:", *(f" {line}" for line in absent)] if absent else [])]
    if node is None:
        return _absent(definition, target, converted, code)
    if isinstance(node, LITERALS):
        known = coerce_input_literal(node, definition.type)
        if isinstance(known, UNCHANGING):
            return [f" v = {code.constant(known)}", f" {target} = {converted}"]

    def literal(values: VariableValues) -> Any:
        value = coerce_input_literal(node, definition.type, values)
        return give_up() if value is Undefined else value

    return [f" v = {code.constant(literal)}(values)", f" {target} = {converted}"]


def _absent(definition: GraphQLArgument, target: str, converted: str, code: Code) -> list[str]:
    """Return the lines for an argument of which nothing is said."""
    if is_required_argument(definition):
        return [" give_up()"]
    default = coerce_default_value(definition)
    return [] if default is Undefined else [f" v = {code.constant(default)}", f" {target} = {converted}"]
