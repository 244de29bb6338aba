"""The variables of one operation, coerced by code that was made for their types."""

from collections.abc import Callable, Mapping
from typing import Any

from graphql import GraphQLError, GraphQLSchema, OperationDefinitionNode, is_non_null_type
from graphql.execution.get_variable_signature import GraphQLVariableSignature, get_variable_signature
from graphql.execution.values import VariableValues, VariableValueSource
from graphql.pyutils import Undefined
from graphql.utilities.coerce_input_value import coerce_input_literal

from gateway.plans.code import Code
from gateway.plans.inputs import UNCHANGING, Inputs
from gateway.plans.scope import Unplannable

Coerce = Callable[[Mapping[str, Any]], VariableValues]


def write_variables(schema: GraphQLSchema, operation: OperationDefinitionNode) -> tuple[Coerce, int]:
    """Return what coerces an operation's variables, and how many fields it knows. Raises Unplannable.

    It returns what graphql-core's `get_variable_values` would, and raises anything where that would return errors.
    """
    code = Code()
    inputs = Inputs(code)
    source = code.constant(VariableValueSource)
    lines = [" c = {}", " s = {}"]
    for definition in operation.variable_definitions or ():
        signature = get_variable_signature(schema, definition)
        if isinstance(signature, GraphQLError):
            raise Unplannable("arguments")
        inputs.spend()
        name = code.constant(signature.name)
        coerced = inputs.coerced(signature.type, "v")
        lines += [f" if {name} in g:", f"  v = g[{name}]", f"  c[{name}] = {coerced}"]
        lines += [f"  s[{name}] = {source}({code.constant(signature)}, v)", " else:"]
        lines.append(f"  s[{name}] = {code.constant(VariableValueSource(signature))}")
        lines += [f"  {line}" for line in _when_absent(signature, name, code)]
    code.add("def coerce(g):", *lines, f" return {code.constant(VariableValues)}(s, c)")
    coerce: Coerce = code.compile("coerce")
    return coerce, inputs.fields


def _when_absent(signature: GraphQLVariableSignature, name: str, code: Code) -> list[str]:
    """Return the lines for a variable of which nothing is said."""
    default = signature.default
    if default is None:
        return ["give_up()"] if is_non_null_type(signature.type) else []

    def coerced() -> Any:
        assert default.literal is not None
        return coerce_input_literal(default.literal, signature.type)

    value = coerced()
    if value is Undefined:
        raise Unplannable("arguments")
    if isinstance(value, UNCHANGING):
        return [f"c[{name}] = {code.constant(value)}"]
    return [f"c[{name}] = {code.constant(coerced)}()"]
