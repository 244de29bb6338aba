"""Typed flags for a kind's input, made from the JSON Schema that the API gives of it."""

import argparse
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import orjson

from cli.session import complain

RESERVED = frozenset({"flags", "help", "input", "options", "url", "watch"})
"""What `headway submit` takes for itself."""
CASE_BOUNDARY = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def parse_flags(kind: Mapping[str, Any], arguments: Sequence[str]) -> dict[str, Any]:
    """Return the input that the flags say; a field without a flag is left to the kind's default.

    `kind` is a TaskKind as the API tells it. Exits with 2 where a flag is wrong, with 0 after `--help`, as argparse
    does, having printed the kind's own usage.
    """
    return vars(_parser(kind).parse_args(list(arguments)))


def flag_of(field: str) -> str:
    """Return the flag of a field: `--key-field` for `keyField`, and `--field-url` for `url`, an option of submit."""
    words = CASE_BOUNDARY.sub("-", field).replace("_", "-").lower()
    return f"--field-{words}" if words in RESERVED else f"--{words}"


class _Parser(argparse.ArgumentParser):
    """Says what is wrong as the other commands do."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        complain(f"{self.prog}: error: {message}")
        self.exit(2)


def _parser(kind: Mapping[str, Any]) -> argparse.ArgumentParser:
    schema = kind["inputSchema"]
    parser = _Parser(
        prog=f"headway submit {kind['name']}",
        description=kind["description"],
        epilog="Or give the whole input with --input. `headway submit --help` tells of the other options.",
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )
    required = set(schema.get("required", ()))
    for name, field in schema.get("properties", {}).items():
        shape = _resolve(field, schema)
        parser.add_argument(
            flag_of(name),
            dest=name,
            required=name in required,
            help=_help(field, shape),
            **_how_to_read(shape, schema),
        )
    return parser


def _resolve(field: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a field holds where it is not null, following a reference into the schema's own definitions."""
    alternatives = [one for one in field.get("anyOf", ()) if one.get("type") != "null"]
    if len(alternatives) == 1:
        field = alternatives[0]
    if "$ref" in field:
        field = schema["$defs"][field["$ref"].rpartition("/")[2]]
    return field


def _how_to_read(shape: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    if "enum" in shape:
        return {"choices": shape["enum"], "type": type(shape["enum"][0])}
    match shape.get("type"):
        case "boolean":
            return {"action": argparse.BooleanOptionalAction}
        case "array":
            item = _resolve(shape.get("items", {}), schema)
            return {"action": "append", "type": _reader(item), "metavar": _metavar(item)}
    return {"type": _reader(shape), "metavar": _metavar(shape)}


def _reader(shape: Mapping[str, Any]) -> Callable[[str], Any]:
    readers: dict[str | None, Callable[[str], Any]] = {"integer": int, "number": float, "string": str}
    return readers.get(shape.get("type"), _json)


def _metavar(shape: Mapping[str, Any]) -> str:
    return str(shape.get("format") or shape.get("type") or "JSON").upper()


def _json(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as exc:
        raise argparse.ArgumentTypeError(f"expected JSON: {exc}") from exc


def _help(field: Mapping[str, Any], shape: Mapping[str, Any]) -> str:
    text = str(field.get("description") or shape.get("description") or "")
    if field.get("default") is not None:
        text += f" (default: {field['default']})"
    if shape.get("type") == "array":
        text += " May be given several times."
    return text.replace("%", "%%")
