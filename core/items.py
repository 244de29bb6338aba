"""What an item may hold: the rules that the API's mutations and the import of files share.

Each function returns nothing when the value is good and raises BadUserInput naming the field when it is not.
"""

import math

import orjson

from core.errors import BadUserInput

MAX_NAME_CHARS = 200
MAX_DESCRIPTION_CHARS = 10_000
MAX_METADATA_DEPTH = 8
"""Nested objects and arrays, the metadata object itself included."""
MAX_METADATA_BYTES = 16 * 1024
"""As compact JSON in UTF-8."""
MAX_KEY_CHARS = 100
_MAX_INT = 2**63 - 1


def validate_name(value: object, field: str = "name") -> None:
    """Check an item's name: 1 to 200 characters, not only white space. Raises BadUserInput."""
    if not isinstance(value, str) or not value.strip() or len(value) > MAX_NAME_CHARS:
        raise BadUserInput(field, f"1 to {MAX_NAME_CHARS} characters of text, not only white space", got=value)
    _validate_text(value, field)


def validate_description(value: object, field: str = "description") -> None:
    """Check an item's description: null, or text of at most 10,000 characters. Raises BadUserInput."""
    if value is None:
        return
    if not isinstance(value, str) or len(value) > MAX_DESCRIPTION_CHARS:
        raise BadUserInput(field, f"at most {MAX_DESCRIPTION_CHARS:,} characters of text", got=value)
    _validate_text(value, field)


def validate_metadata_key(key: object, field: str = "metadata") -> None:
    """Check a name inside metadata: it must be usable in a path and as a field of MongoDB. Raises BadUserInput."""
    if (
        not isinstance(key, str)
        or not 1 <= len(key) <= MAX_KEY_CHARS
        or key.startswith("$")
        or "." in key
        or "\0" in key
    ):
        raise BadUserInput(
            field, f"names of 1 to {MAX_KEY_CHARS} characters with no dot or NUL, not starting with $", got=key
        )
    _validate_text(key, field)


def validate_metadata(value: object, field: str = "metadata") -> None:
    """Check an item's metadata: an object of JSON values within the limits of depth and size. Raises BadUserInput.

    Whole numbers must fit in 64 bits, and no number may be NaN or infinite: neither could be stored and given back.
    """
    if not isinstance(value, dict):
        raise BadUserInput(field, "a JSON object", got=value)
    _validate_value(value, field, 1)
    if len(orjson.dumps(value)) > MAX_METADATA_BYTES:
        raise BadUserInput(field, f"at most {MAX_METADATA_BYTES:,} bytes as JSON")


def _validate_value(value: object, path: str, depth: int) -> None:
    if isinstance(value, dict | list) and depth > MAX_METADATA_DEPTH:
        raise BadUserInput(path, f"at most {MAX_METADATA_DEPTH} levels of objects and arrays")
    if isinstance(value, dict):
        for key, inner in value.items():
            validate_metadata_key(key, path)
            _validate_value(inner, f"{path}.{key}", depth + 1)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            _validate_value(inner, f"{path}.{index}", depth + 1)
    elif isinstance(value, str):
        _validate_text(value, path)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise BadUserInput(path, "a finite number", got=value)
    elif isinstance(value, int):
        if not -_MAX_INT - 1 <= value <= _MAX_INT:
            raise BadUserInput(path, "a whole number that fits in 64 bits")
    elif value is not None:
        raise BadUserInput(path, "a JSON value", got=value)


def _validate_text(value: str, field: str) -> None:
    """Refuse lone surrogates, which JSON can spell but UTF-8, and so the database, can't hold."""
    try:
        value.encode()
    except UnicodeEncodeError as exc:
        raise BadUserInput(field, "text that is valid Unicode (no lone surrogates)") from exc
