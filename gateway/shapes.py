"""A kind's Pydantic models as clients see them: GraphQL names, forms and constraints in words, and renaming both ways.

The rules for generated types, from a Pydantic annotation to a Form:

| annotation                                  | form                                                              |
|---------------------------------------------|-------------------------------------------------------------------|
| int                                         | INT (32 bits), or BIG_INT (64 bits) where its bounds reach beyond |
| float · str · bool · UUID · datetime        | FLOAT · TEXT · BOOLEAN · ID · DATE_TIME                           |
| Decimal · date · time                       | TEXT, as Pydantic writes them in JSON                             |
| an Enum or a Literal of names               | Choice, a GraphQL enum                                            |
| list, set, frozenset, tuple[X, ...]         | Many                                                              |
| another model                               | Ref                                                               |
| everything else (dict, Any, unions of more) | JSON                                                              |

A larger number in a result's INT makes `result` null with an error that says so; `resultJson` gives it all the same.
"""

import inspect
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from functools import cache, cached_property
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from core.errors import BadUserInput
from gateway.constraints import Constraints, read_constraints

INT_MIN, INT_MAX = -(2**31), 2**31 - 1
BIG_MIN, BIG_MAX = -(2**63), 2**63 - 1
_NAME = re.compile(r"[_A-Za-z][_0-9A-Za-z]*\Z")
_RESERVED = {"true", "false", "null"}


class Leaf(Enum):
    """A form without parts, with how an error message calls it."""

    INT = "a whole number"
    BIG_INT = "a whole number of 64 bits"
    FLOAT = "a number"
    TEXT = "text"
    BOOLEAN = "true or false"
    ID = "a UUID"
    DATE_TIME = "a date and time"
    JSON = "a JSON value"


@dataclass(frozen=True)
class Choice:
    """One of several names; `values` are what the model holds, by name."""

    name: str
    description: str
    values: tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Many:
    """A list of one form."""

    of: "Form"
    nullable: bool


@dataclass(frozen=True)
class Ref:
    """Another model."""

    model: type[BaseModel]


Form = Leaf | Choice | Many | Ref


@dataclass(frozen=True)
class Field:
    """One field of a model. `default` is PydanticUndefined where there is none that JSON can show."""

    name: str
    public: str
    form: Form
    nullable: bool
    required: bool
    default: Any
    description: str
    constraints: Constraints

    @property
    def expected(self) -> str:
        """What an error message says that this field takes."""
        return expected_of(self.form, self.constraints)


def expected_of(form: Form, constraints: Constraints) -> str:
    """Return a form and its limits in words: `a whole number, 1 to 50`."""
    if isinstance(form, Choice):
        base = "one of " + ", ".join(name for name, _ in form.values)
    elif isinstance(form, Many):
        base = "a list"
    else:
        base = form.value if isinstance(form, Leaf) else "an object"
    return f"{base}, {constraints.words}" if constraints.words else base


@dataclass(frozen=True)
class Shape:
    """One model."""

    model: type[BaseModel]
    fields: tuple[Field, ...]

    @cached_property
    def by_public(self) -> Mapping[str, Field]:
        """The fields by their GraphQL names."""
        return {field.public: field for field in self.fields}

    @cached_property
    def by_name(self) -> Mapping[str, Field]:
        """The fields by their Python names."""
        return {field.name: field for field in self.fields}

    def internal(self, value: object, path: str) -> dict[str, Any]:
        """Return what came under GraphQL names under Python names. Raises BadUserInput for a name it does not know."""
        if not isinstance(value, Mapping):
            raise BadUserInput(path, "an object", got=value)
        for key in value:
            if key not in self.by_public:
                raise BadUserInput(f"{path}.{key}", "one of the fields " + ", ".join(self.by_public))
        return {
            field.name: self._internal(field, field.form, value[field.public], f"{path}.{field.public}")
            for field in self.fields
            if field.public in value
        }

    def _internal(self, field: Field, form: Form, value: Any, path: str) -> Any:
        if value is None:
            return None
        if isinstance(form, Ref):
            return shape_of(form.model).internal(value, path)
        if isinstance(form, Many) and isinstance(value, list):
            return [self._internal(field, form.of, inner, f"{path}.{index}") for index, inner in enumerate(value)]
        if isinstance(form, Choice):
            for name, inner in form.values:
                if name == value:
                    return inner
            raise BadUserInput(path, field.expected, got=value)
        if form is Leaf.INT and isinstance(value, int) and not INT_MIN <= value <= INT_MAX:
            raise BadUserInput(path, field.expected, got=value)
        return value

    def public(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """Return stored JSON under GraphQL names; what this model does not know stays as it is."""
        known = self.by_name
        return {
            known[key].public if key in known else key: self._public(known[key].form, inner) if key in known else inner
            for key, inner in value.items()
        }

    def _public(self, form: Form, value: Any) -> Any:
        if isinstance(form, Ref) and isinstance(value, Mapping):
            return shape_of(form.model).public(value)
        if isinstance(form, Many) and isinstance(value, list) and not isinstance(form.of, Leaf):
            return [self._public(form.of, inner) for inner in value]
        if isinstance(form, Choice):
            return next((name for name, inner in form.values if inner == value), value)
        return value

    def locate(self, loc: tuple[int | str, ...], path: str) -> tuple[str, Field | None]:
        """Return the dotted GraphQL path of a Pydantic error and the field it is about, None for the whole model."""
        shape: Shape | None = self
        field: Field | None = None
        for part in loc:
            known = shape.by_name.get(part) if shape is not None and isinstance(part, str) else None
            if known is not None:
                field = known
                form = known.form.of if isinstance(known.form, Many) else known.form
                shape = shape_of(form.model) if isinstance(form, Ref) else None
            path = f"{path}.{known.public if known else part}"
        return path, field


@cache
def shape_of(model: type[BaseModel]) -> Shape:
    """Return the shape of a model. Raises TypeError where two fields would get the same GraphQL name."""
    fields = tuple(_field(model, name, info) for name, info in model.model_fields.items())
    if len({field.public for field in fields}) < len(fields):
        raise TypeError(f"{model.__name__}: two fields have the same name in camelCase")
    return Shape(model, fields)


def camel_case(name: str) -> str:
    """Return a Python name as GraphQL spells it."""
    first, *rest = name.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in rest)


def _field(model: type[BaseModel], name: str, info: FieldInfo) -> Field:
    constraints = read_constraints(info.metadata)
    annotation, nullable = _without_none(info.annotation)
    form = _form(annotation, constraints, f"{model.__name__}{name.title().replace('_', '')}")
    if isinstance(form, Many):
        constraints = replace(constraints, counted="entries")
    default = PydanticUndefined if info.default_factory is not None else info.default
    if isinstance(form, Ref | Many) or form is Leaf.JSON:
        default = None if default is None else PydanticUndefined
    return Field(
        name=name,
        public=camel_case(name),
        form=form,
        nullable=nullable,
        required=info.is_required(),
        default=default,
        description=_describe(info, form, constraints),
        constraints=constraints,
    )


def _describe(info: FieldInfo, form: Form, constraints: Constraints) -> str:
    """Return a field's own description, with its limits unless it tells them itself; without one, what it takes."""
    own = (info.description or "").strip()
    if not own:
        words = expected_of(form, constraints)
        return f"{words[0].upper()}{words[1:]}."
    return own if constraints.words.lower() in own.lower() else f"{own} {constraints.sentence}"


def _without_none(annotation: Any) -> tuple[Any, bool]:
    if typing.get_origin(annotation) not in (typing.Union, types.UnionType):
        return annotation, annotation is None or annotation is type(None)
    args = typing.get_args(annotation)
    rest = [arg for arg in args if arg is not type(None)]
    return (rest[0] if len(rest) == 1 else Any), len(rest) < len(args)


_LEAVES: Mapping[Any, Leaf] = {
    float: Leaf.FLOAT,
    str: Leaf.TEXT,
    bool: Leaf.BOOLEAN,
    UUID: Leaf.ID,
    datetime: Leaf.DATE_TIME,
    date: Leaf.TEXT,
    time: Leaf.TEXT,
    Decimal: Leaf.TEXT,
}


def _form(annotation: Any, constraints: Constraints, choice_name: str) -> Form:
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        return _form(args[0], read_constraints(annotation.__metadata__), choice_name)
    if annotation is int:
        return _int_form(constraints)
    if annotation in _LEAVES:
        return _LEAVES[annotation]
    if origin is Literal:
        return _choice(choice_name, "", [(str(arg), arg) for arg in args])
    if origin in (list, set, frozenset) or (origin is tuple and len(args) == 2 and args[1] is Ellipsis):
        inner, nullable = _without_none(args[0])
        return Many(_form(inner, Constraints(), choice_name), nullable)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        values = [(member.name, member.value) for member in annotation]
        return _choice(annotation.__name__, inspect.cleandoc(annotation.__doc__ or ""), values)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return Ref(annotation)
    return Leaf.JSON


def _int_form(constraints: Constraints) -> Leaf:
    below = constraints.least is not None and constraints.least < INT_MIN
    above = constraints.most is not None and constraints.most > INT_MAX
    return Leaf.BIG_INT if below or above else Leaf.INT


def _choice(name: str, description: str, values: list[tuple[str, Any]]) -> Form:
    if all(_NAME.match(text) and text not in _RESERVED and not text.startswith("__") for text, _ in values):
        return Choice(name, description or f"{name}.", tuple(values))
    return Leaf.TEXT if all(isinstance(value, str) for _, value in values) else Leaf.JSON
