"""GraphQL types made from the Pydantic models of kinds; `gateway.shapes` says by which rules.

| model                        | types                                                                     |
|------------------------------|---------------------------------------------------------------------------|
| a kind's input model `X`     | the input `X`, and the type `XView` that shows it                         |
| a model inside it, `Y`       | the input `YInput` (`Y` itself if it ends with Input) and that name + View |
| a kind's result model, inner | the type of the same name                                                 |
| one with an input of its own | that input, and the type of the model's name + View that shows it         |
"""

import inspect
import types
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import Enum
from typing import Any, Optional

import strawberry
from pydantic import BaseModel
from strawberry import UNSET
from strawberry.types.field import StrawberryField

from gateway.schema.scalars import JSON, BigInt
from gateway.shapes import Choice, Field, Form, Leaf, Many, Ref, Shape, shape_of

_LEAVES: Mapping[Leaf, Any] = {
    Leaf.INT: int,
    Leaf.BIG_INT: BigInt,
    Leaf.FLOAT: float,
    Leaf.TEXT: str,
    Leaf.BOOLEAN: bool,
    Leaf.ID: strawberry.ID,
    Leaf.DATE_TIME: datetime,
    Leaf.JSON: JSON,
}


def describe_model(model: type[BaseModel]) -> str:
    """Return a model's docstring, or words made of its name; never that of a parent."""
    return inspect.cleandoc(model.__doc__ or "") or f"{model.__name__}."


class GeneratedTypes:
    """The types of one schema by name, so that two kinds may share a model and no two models a name.

    `own` are models for which the schema has an input type already, whose attributes have the names of the fields.
    """

    def __init__(self, own: Mapping[type[BaseModel], Any] | None = None) -> None:
        self._own = own or {}
        self._made: dict[str, tuple[object, Any]] = {}
        self._under_way: set[str] = set()

    def input(self, model: type[BaseModel], name: str) -> Any:
        """Return the input type of a model. Raises TypeError if it has no field or its name is taken."""
        return self._make(name, (model, "input"), lambda: self._input(shape_of(model), name))

    def view(self, model: type[BaseModel], name: str) -> Any:
        """Return the object type that shows an input; its source is the stored JSON."""
        return self._make(name, (model, "view"), lambda: self._output(shape_of(model), name, self._inner_view))

    def result(self, model: type[BaseModel]) -> Any:
        """Return the object type of a result; its source is the stored JSON."""
        name = model.__name__
        return self._make(name, (model, "result"), lambda: self._output(shape_of(model), name, self.result))

    def _make(self, name: str, origin: object, build: Callable[[], Any]) -> Any:
        if name in self._under_way:
            return JSON  # A model that contains itself is shown to its first depth, the rest as JSON.
        known = self._made.get(name)
        if known is not None and known[0] != origin:
            raise TypeError(f"{name}: two models of kinds make GraphQL types of this name; rename one")
        if known is None:
            self._under_way.add(name)
            known = self._made[name] = (origin, build())
            self._under_way.discard(name)
        return known[1]

    def _inner_input(self, model: type[BaseModel]) -> Any:
        return self._own.get(model) or self.input(model, _inner_name(model))

    def _inner_view(self, model: type[BaseModel]) -> Any:
        return self.view(model, (model.__name__ if model in self._own else _inner_name(model)) + "View")

    def _enum(self, choice: Choice) -> Any:
        def build() -> Any:
            enum = Enum(choice.name, dict(choice.values))  # type: ignore[misc]
            strawberry.enum(enum, description=choice.description)
            for value in enum.__strawberry_definition__.values:  # type: ignore[attr-defined]
                value.description = f"{choice.name} {value.name}."
            return enum

        return self._make(choice.name, choice, build)

    def _annotation(self, form: Form, inner: Callable[[type[BaseModel]], Any]) -> Any:
        if isinstance(form, Leaf):
            return _LEAVES[form]
        if isinstance(form, Choice):
            return self._enum(form)
        if isinstance(form, Ref):
            return inner(form.model)
        entry = self._annotation(form.of, inner)
        return list[Optional[entry]] if form.nullable else list[entry]  # type: ignore[valid-type]  # noqa: UP045

    def _output(self, shape: Shape, name: str, inner: Callable[[type[BaseModel]], Any]) -> Any:
        annotations = {
            field.name: _nullable(self._annotation(field.form, inner), field.nullable) for field in shape.fields
        }
        fields = {
            field.name: strawberry.field(name=field.public, description=field.description) for field in shape.fields
        }
        return strawberry.type(
            _new_class(name, annotations, fields), name=name, description=describe_model(shape.model)
        )

    def _input(self, shape: Shape, name: str) -> Any:
        annotations: dict[str, Any] = {}
        fields: dict[str, Any] = {}
        for field in shape.fields:
            annotation = self._annotation(field.form, self._inner_input)
            default = _default(field, annotation)
            optional = field.nullable or (not field.required and default is UNSET)
            annotations[field.name] = _nullable(annotation, optional)
            options = {} if field.required else {"default": default}
            fields[field.name] = strawberry.field(name=field.public, description=field.description, **options)
        return strawberry.input(
            _new_class(name, annotations, fields), name=name, description=describe_model(shape.model)
        )


def _inner_name(model: type[BaseModel]) -> str:
    return model.__name__ if model.__name__.endswith("Input") else f"{model.__name__}Input"


def _nullable(annotation: Any, nullable: bool) -> Any:
    return Optional[annotation] if nullable else annotation  # noqa: UP045  # It is only known at run time.


def _new_class(name: str, annotations: dict[str, Any], fields: Mapping[str, StrawberryField]) -> type:
    if not annotations:
        raise TypeError(f"{name}: GraphQL needs a type to have at least one field")
    return types.new_class(name, (), {}, lambda body: body.update({"__annotations__": annotations, **fields}))


def _default(field: Field, annotation: Any) -> Any:
    """Return the default that the schema can show, UNSET where Pydantic has to fill it in."""
    if isinstance(field.default, str | int | float | bool) and not isinstance(field.form, Many | Ref):
        value = field.default.value if isinstance(field.default, Enum) else field.default
        return annotation(value) if isinstance(field.form, Choice) else value
    if isinstance(field.default, Enum) and isinstance(field.form, Choice):
        return annotation(field.default.value)
    return UNSET


def to_public(shape: Shape, value: Any) -> dict[str, Any]:
    """Return an instance of a generated input type as JSON under GraphQL names, without what was left out."""
    given: dict[str, Any] = {}
    for field in shape.fields:
        inner = getattr(value, field.name)
        if inner is UNSET or (inner is None and not field.nullable):
            continue
        given[field.public] = _to_public(field.form, inner)
    return given


def _to_public(form: Form, value: Any) -> Any:
    if isinstance(value, Enum):
        return value.name
    if isinstance(form, Many) and isinstance(value, list):
        return [_to_public(form.of, inner) for inner in value]
    if isinstance(form, Ref) and not isinstance(value, dict | list | str | int | float | None):
        return to_public(shape_of(form.model), value)
    return value
