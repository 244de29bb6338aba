"""The types that kinds add to the schema."""

import inspect
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
)
from pydantic import BaseModel
from strawberry.exceptions import StrawberryException

from gateway import schema_export
from gateway.schema import build_schema
from jobs.kinds import Kind, load_kinds
from tests.unit.gateway_schema.sample_kind import PAINT


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    return build_schema({PAINT.name: PAINT})._schema


def fields_of(schema: GraphQLSchema, name: str) -> dict[str, str]:
    type_ = schema.type_map[name]
    assert isinstance(type_, GraphQLObjectType | GraphQLInputObjectType | GraphQLInterfaceType)
    return {field: str(value.type) for field, value in type_.fields.items()}


def test_an_input_model_becomes_an_input_type_with_its_defaults(schema: GraphQLSchema) -> None:
    assert fields_of(schema, "PaintInput") == {
        "title": "String!",
        "colour": "Colour!",
        "style": "PaintInputStyle!",
        "dpi": "JSON",
        "copies": "Int!",
        "serial": "BigInt!",
        "corners": "[CornerInput!]",
        "tags": "[String!]",
        "due": "DateTime",
        "price": "String",
        "ref": "ID",
        "extra": "JSON",
        "anything": "JSON",
    }
    printed = build_schema({PAINT.name: PAINT}).as_str()
    for line in ("copies: Int! = 1", "colour: Colour! = RED", "style: PaintInputStyle! = OIL", "yPos: Float! = 0"):
        assert f"  {line}\n" in printed


def test_a_spread_input_becomes_the_mutation_s_arguments() -> None:
    spread = replace(PAINT, spreads_input=True)
    schema = build_schema({spread.name: spread})
    assert schema._schema.mutation_type is not None
    arguments = schema._schema.mutation_type.fields["paintPicture"].args
    shown = {name: str(argument.type) for name, argument in arguments.items()}
    assert shown == {**fields_of(schema._schema, "PaintInput"), "options": "TaskOptions"}
    assert "copies: Int! = 1" in schema.as_str().partition("paintPicture(")[2]


def test_a_spread_input_can_have_no_field_called_options() -> None:
    class Taken(BaseModel):
        options: int

    taken = replace(PAINT, input_model=Taken, spreads_input=True)
    with pytest.raises(TypeError, match="a field of an input that is spread can't be called options"):
        build_schema({taken.name: taken})


def test_an_input_is_shown_by_a_type_of_its_own(schema: GraphQLSchema) -> None:
    assert fields_of(schema, "PaintInputView") | fields_of(schema, "CornerInputView") == {
        "title": "String!",
        "colour": "Colour!",
        "style": "PaintInputStyle!",
        "dpi": "JSON!",
        "copies": "Int!",
        "serial": "BigInt!",
        "corners": "[CornerInputView!]!",
        "tags": "[String!]!",
        "due": "DateTime",
        "price": "String!",
        "ref": "ID",
        "extra": "JSON!",
        "anything": "JSON",
        "xPos": "Float!",
        "yPos": "Float!",
    }


def test_a_result_model_becomes_a_type_and_may_share_models_with_the_input(schema: GraphQLSchema) -> None:
    assert fields_of(schema, "PaintResult") == {
        "layers": "[Layer!]!",
        "colour": "Colour!",
        "bytesWritten": "BigInt!",
        "finished": "DateTime!",
    }
    assert fields_of(schema, "Layer") == {"layerNo": "Int!", "corner": "Corner"}


def test_a_kind_adds_a_typed_task_and_a_mutation(schema: GraphQLSchema) -> None:
    task = schema.type_map["PaintPictureTask"]
    assert isinstance(task, GraphQLObjectType)
    assert [interface.name for interface in task.interfaces] == ["Task", "Node"]
    assert str(task.fields["input"].type) == "PaintInputView!"
    assert str(task.fields["result"].type) == "PaintResult"
    assert schema.mutation_type is not None
    mutation = schema.mutation_type.fields["paintPicture"]
    assert {name: str(argument.type) for name, argument in mutation.args.items()} == {
        "input": "PaintInput!",
        "options": "TaskOptions",
    }
    assert str(mutation.type) == "PaintPictureTask!"


def test_descriptions_and_limits_come_from_the_model(schema: GraphQLSchema) -> None:
    paint = schema.type_map["PaintInput"]
    assert isinstance(paint, GraphQLInputObjectType)
    assert paint.description == "What to paint."
    assert paint.fields["title"].description == "The title. 1 to 20 characters."
    assert paint.fields["copies"].description == "A whole number, 1 to 50."
    assert paint.fields["corners"].description == "A list, at most 3 entries."
    assert schema.type_map["Layer"].description == "Layer."
    assert schema.mutation_type is not None
    assert str(schema.mutation_type.fields["paintPicture"].description).startswith("Paint a picture.")


@pytest.mark.parametrize("kinds", [{PAINT.name: PAINT}, load_kinds()])
def test_everything_in_the_schema_is_described(kinds: dict[str, Kind]) -> None:
    missing = []
    for name, type_ in build_schema(kinds)._schema.type_map.items():
        if name.startswith("__") or name in ("Int", "Float", "String", "Boolean", "ID"):
            continue
        parts: dict[str, Any] = {name: type_}
        for field_name, field in getattr(type_, "fields", {}).items():
            parts[f"{name}.{field_name}"] = field
            parts |= {
                f"{name}.{field_name}({argument})": value for argument, value in getattr(field, "args", {}).items()
            }
        if isinstance(type_, GraphQLEnumType):
            parts |= {f"{name}.{value_name}": value for value_name, value in type_.values.items()}
        missing += [where for where, part in parts.items() if not (part.description or "").strip()]
    assert missing == []


def _kind(name: str, input_model: type[BaseModel], result_model: type[BaseModel]) -> Kind:
    return Kind(name, "", input_model, result_model, PAINT.function, timeout_s=1, max_attempts=1)


def test_two_models_of_one_name_are_refused_with_the_name() -> None:
    def make(field: str) -> type[BaseModel]:
        return type("Same", (BaseModel,), {"__annotations__": {field: int}})

    with pytest.raises(TypeError, match="Same: two models of kinds"):
        build_schema({"a": _kind("a", make("x"), make("y")), "b": _kind("b", make("x"), make("y"))})


def test_a_model_named_like_a_type_of_ours_is_refused() -> None:
    class Item(BaseModel):
        x: int = 1

    with pytest.raises(StrawberryException, match="Type Item is defined multiple times"):
        build_schema({"a": _kind("a", PAINT.input_model, Item)})


def test_an_input_without_fields_is_refused() -> None:
    class Nothing(BaseModel):
        pass

    with pytest.raises(TypeError, match="Nothing: GraphQL needs a type to have at least one field"):
        build_schema({"a": _kind("a", Nothing, PAINT.result_model)})


class Tree(BaseModel):
    """A tree."""

    label: str
    branches: list["Tree"] = []


def test_a_model_that_contains_itself_goes_on_as_json() -> None:
    built = build_schema({"a": _kind("a", Tree, PAINT.result_model)})._schema
    assert fields_of(built, "TreeView")["branches"] == "[TreeInputView!]!"
    assert fields_of(built, "TreeInputView")["branches"] == "[JSON!]!"


def test_a_schema_without_kinds_can_be_built() -> None:
    built = build_schema({})._schema
    assert "UntypedTask" in built.type_map
    assert built.mutation_type is not None
    assert "submitTask" in built.mutation_type.fields


def test_a_kind_takes_no_mutation_s_name() -> None:
    kinds = load_kinds()
    with pytest.raises(TypeError, match="cancelTask: that mutation is Headway's own"):
        build_schema({"cancelTask": kinds["processData"]})


def test_schema_graphql_is_what_the_code_says() -> None:
    stored = Path(inspect.getfile(schema_export)).parent.parent / "schema.graphql"
    assert stored.read_text(encoding="utf-8") == schema_export.render(), "run `make schema`"
