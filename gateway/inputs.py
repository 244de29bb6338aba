"""What a client submits, checked by its kind's Pydantic model and put into the form that is stored."""

from collections.abc import Mapping
from typing import Any

import orjson
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from core.errors import BadUserInput
from gateway.shapes import Shape, camel_case, shape_of
from jobs.kinds import Kind

MAX_INPUT_BYTES = 8 * 1024 * 1024
"""As JSON. MongoDB stores at most 16 MB a document, and the result has to fit beside it."""
MAX_INPUT_DEPTH = 32


def parse_input(kind: Kind, value: object, path: str = "input") -> dict[str, Any]:
    """Return `value`, which came under GraphQL names, as the JSON that the task stores: defaults filled in.

    Types are taken strictly, as GraphQL takes them: "5" is no number. Raises BadUserInput naming the first field that
    is wrong by its dotted path, and what it takes.
    """
    shape = shape_of(kind.input_model)
    named = shape.internal(value, path)
    if _is_deeper(named, MAX_INPUT_DEPTH):
        raise BadUserInput(path, f"at most {MAX_INPUT_DEPTH} levels of objects and lists")
    try:
        text = orjson.dumps(named)
    except TypeError as exc:
        raise BadUserInput(path, "JSON with whole numbers of at most 64 bits and text that is valid Unicode") from exc
    if len(text) > MAX_INPUT_BYTES:
        raise BadUserInput(path, f"at most {MAX_INPUT_BYTES:,} bytes as JSON")
    try:
        model = kind.input_model.model_validate_json(text, strict=True, by_alias=False, by_name=True)
    except ValidationError as exc:
        raise _bad_input(shape, exc.errors(include_url=False)[0], path) from exc
    return model.model_dump(mode="json")


async def check_input(kind: Kind, values: Mapping[str, Any], owner: str, path: str = "input") -> None:
    """Have the kind check a parsed input against what is stored. Raises BadUserInput naming the field below `path`."""
    if kind.check is None:
        return
    try:
        await kind.check(kind.input_model.model_validate(values), owner)
    except BadUserInput as exc:
        raise BadUserInput(f"{path}.{camel_case(exc.field)}", exc.expected) from exc


def _bad_input(shape: Shape, error: ErrorDetails, path: str) -> BadUserInput:
    where, field = shape.locate(error["loc"], path)
    if error["type"] in ("value_error", "assertion_error"):
        said = str(error.get("ctx", {}).get("error", error["msg"]))
        return BadUserInput(where, said.removeprefix("expected "))
    expected = field.expected if field is not None else error["msg"]
    got = None if error["type"] == "missing" or isinstance(error["input"], Mapping) else error["input"]
    return BadUserInput(where, expected, got=got)


def _is_deeper(value: object, levels: int) -> bool:
    if isinstance(value, Mapping):
        return levels == 0 or any(_is_deeper(inner, levels - 1) for inner in value.values())
    if isinstance(value, list):
        return levels == 0 or any(_is_deeper(inner, levels - 1) for inner in value)
    return False
