"""Operations with arguments, made by hypothesis: literals, variables, defaults, bad values too."""

import json
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLNonNull,
    GraphQLObjectType,
    get_named_type,
    is_input_object_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    is_required_input_field,
)
from hypothesis import strategies as st

from gateway.bulk import BulkOutcome
from gateway.schema.task_view import TaskView
from tests.unit.plans.documents import GRAPHQL, item, page, selection, spoil, task

IDENT_TEXT = "00000000-0000-0000-0000-000000000007"
ROOT_FIELDS = [
    (type_, name)
    for type_ in (GRAPHQL.query_type, GRAPHQL.mutation_type)
    if type_ is not None
    for name in sorted(type_.fields)
]
_GOOD: dict[str, tuple[Any, ...]] = {
    "Int": (0, 3, -5, 2_147_483_647),
    "Float": (0.5, 3, -1e9),
    "String": ("", "text", 'with "quotes"'),
    "ID": (IDENT_TEXT, "x", 7),
    "Boolean": (True, False),
    "JSON": ({"a": [1, {"b": None}]}, [], {}, "text", 1.5, True),
    "DateTime": ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00.123456+02:00"),
    "BigInt": (0, 2**40),
}
_BAD: tuple[Any, ...] = (None, 5, 2.0, 2**31, 2**70, "text", True, [], {}, [None], {"no": 1}, [[1]], float("inf"))


@dataclass
class Asked:
    """An operation's text, and the variables that a client sends with it."""

    text: str = ""
    definitions: list[str] = field(default_factory=list)
    variables: dict[str, Any] = field(default_factory=dict)


@st.composite
def asked(draw: st.DrawFn) -> Asked:
    """Return an operation of one root field, or of two."""
    parent = draw(st.sampled_from([type_ for type_ in (GRAPHQL.query_type, GRAPHQL.mutation_type) if type_]))
    made, fragments = Asked(), list[str]()
    roots = [_root(draw, parent, made, fragments) for _ in range(draw(st.sampled_from([1, 1, 2])))]
    definitions = f"({', '.join(made.definitions)})" if made.definitions else ""
    fields = " ".join(f"r{number}: {root}" for number, root in enumerate(roots))
    made.text = " ".join([f"{parent.name.lower()}{definitions} {{ {fields} }}", *fragments])
    made.variables |= {"unknown": 1} if draw(st.integers(0, 5)) == 0 else {}
    return made


def _root(draw: st.DrawFn, parent: GraphQLObjectType, made: Asked, fragments: list[str]) -> str:
    """Return a root field with its arguments and what is selected below it."""
    name = draw(st.sampled_from(sorted(parent.fields)))
    given = []
    for argument, definition in parent.fields[name].args.items():
        if is_non_null_type(definition.type) or draw(st.booleans()):
            given.append(f"{argument}: {_literal(draw, definition.type, made, 2)}")
    arguments = f"({', '.join(given)})" if given else ""
    below = get_named_type(parent.fields[name].type)
    return f"{name}{arguments} {'' if is_leaf_type(below) else selection(draw, below, 2, fragments)}"


@st.composite
def resolved(draw: st.DrawFn) -> Any:
    """Return what a resolver returns; an exception is raised instead. Often it is not what the field is of."""
    items = [spoil(draw, item(draw)) for _ in range(2)]
    tasks = [TaskView(spoil(draw, task(draw))) for _ in range(2)]
    others = (BulkOutcome(3, 2, has_more=True), IDENT_TEXT, items, None, 5, KeyError("gone"))
    return draw(st.sampled_from([items[0], tasks[0], tasks[1], page(items), page(tasks), *others]))


def _literal(draw: st.DrawFn, type_: Any, made: Asked, depth: int) -> str:
    """Return a value as the document has it: a literal, or a variable of its own."""
    if draw(st.integers(0, 2)) == 0:
        return _variable(draw, type_, made)
    if is_non_null_type(type_):
        type_ = type_.of_type
    elif draw(st.integers(0, 5)) == 0:
        return "null"
    if is_list_type(type_):
        entries = [_literal(draw, type_.of_type, made, depth - 1) for _ in range(draw(st.integers(0, 2)))]
        return f"[{', '.join(entries)}]"
    if is_input_object_type(type_):
        fields = [
            f"{name}: {_literal(draw, inner.type, made, depth - 1)}"
            for name, inner in type_.fields.items()
            if is_required_input_field(inner) or draw(st.integers(0, 2)) == 0
        ]
        return f"{{{', '.join(fields)}}}"
    if type_.name == "JSON" and draw(st.booleans()):
        return f"{{a: [1, {_variable(draw, type_, made)}]}}"
    return _written(_leaf(draw, type_), type_)


def _written(value: Any, type_: Any) -> str:
    """Return a value of a scalar or enum as GraphQL writes it."""
    if isinstance(type_, GraphQLEnumType):
        return str(value)
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_written(inner, type_)}' for key, inner in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(_written(inner, type_) for inner in value)}]"
    return json.dumps(value)


def _variable(draw: st.DrawFn, type_: Any, made: Asked) -> str:
    """Declare a variable that may stand where a type is asked for, with or without a value, and return it."""
    name = f"v{len(made.definitions)}"
    inner = type_.of_type if is_non_null_type(type_) else type_
    declared, default = type_, ""
    if is_leaf_type(inner) and draw(st.integers(0, 2)) == 0:
        declared, default = inner, f" = {_written(_leaf(draw, inner), inner)}"
    elif draw(st.integers(0, 3)) == 0:
        declared = GraphQLNonNull(inner)
    made.definitions.append(f"${name}: {declared}{default}")
    if draw(st.integers(0, 4)):
        made.variables[name] = value(draw, declared)
    return f"${name}"


def value(draw: st.DrawFn, type_: Any) -> Any:
    """Return what a client sends for a variable of a type; now and then it is something else."""
    if draw(st.integers(0, 20)) == 0:
        return draw(st.sampled_from(_BAD))
    if is_non_null_type(type_):
        type_ = type_.of_type
    elif draw(st.integers(0, 5)) == 0:
        return None
    if is_list_type(type_):
        return [value(draw, type_.of_type) for _ in range(draw(st.integers(0, 2)))]
    if is_input_object_type(type_):
        return {
            name: value(draw, inner.type)
            for name, inner in type_.fields.items()
            if is_required_input_field(inner) or draw(st.booleans())
        }
    return _leaf(draw, type_)


def _leaf(draw: st.DrawFn, type_: Any) -> Any:
    return draw(st.sampled_from(sorted(type_.values) if isinstance(type_, GraphQLEnumType) else _GOOD[type_.name]))
