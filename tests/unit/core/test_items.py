"""The rules for what an item may hold."""

from typing import Any

import pytest

from core.errors import BadUserInput
from core.items import (
    MAX_METADATA_BYTES,
    MAX_METADATA_DEPTH,
    validate_description,
    validate_metadata,
    validate_metadata_key,
    validate_name,
)


def nested(levels: int) -> Any:
    """Return an object with this many levels of objects."""
    value: Any = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


@pytest.mark.parametrize("name", ["a", "é" * 200, " padded ", "007"])
def test_name_within_limits_passes(name: str) -> None:
    validate_name(name)


@pytest.mark.parametrize("name", ["", " \t", "a" * 201, 7, None, "lone \ud800"])
def test_bad_name_is_refused_and_named(name: object) -> None:
    with pytest.raises(BadUserInput) as caught:
        validate_name(name, "input.name")
    assert caught.value.field == "input.name"


def test_description_may_be_null_and_empty_but_not_endless() -> None:
    validate_description(None)
    validate_description("")
    with pytest.raises(BadUserInput, match="10,000 characters"):
        validate_description("x" * 10_001)


@pytest.mark.parametrize("key", ["", "a.b", "$where", "nul\0", "k" * 101, 5])
def test_key_that_mongo_or_a_path_cannot_use_is_refused(key: object) -> None:
    with pytest.raises(BadUserInput):
        validate_metadata_key(key)


def test_dollar_inside_a_key_is_fine() -> None:
    validate_metadata({"price US$": 3})


def test_every_json_value_passes() -> None:
    validate_metadata({"a": [1, -2.5, "x", True, None, {"b": {}}], "big": 2**63 - 1, "small": -(2**63)})


def test_depth_counts_the_metadata_object_itself() -> None:
    validate_metadata(nested(MAX_METADATA_DEPTH))
    with pytest.raises(BadUserInput) as caught:
        validate_metadata(nested(MAX_METADATA_DEPTH + 1))
    assert caught.value.field == "metadata" + ".a" * MAX_METADATA_DEPTH


def test_size_is_counted_in_bytes_of_compact_json() -> None:
    frame = len('{"a":""}')
    validate_metadata({"a": "x" * (MAX_METADATA_BYTES - frame)})
    with pytest.raises(BadUserInput, match="16,384 bytes"):
        validate_metadata({"a": "é" * ((MAX_METADATA_BYTES - frame) // 2 + 1)})


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({"a": float("nan")}, "metadata.a"),
        ({"a": [0, float("inf")]}, "metadata.a.1"),
        ({"a": 2**63}, "metadata.a"),
        ({"a": b"bytes"}, "metadata.a"),
        ({"a": {"$set": 1}}, "metadata.a"),
        ({"a": "\udfff"}, "metadata.a"),
        ([], "metadata"),
        (None, "metadata"),
    ],
)
def test_value_that_could_not_be_given_back_is_refused_by_its_path(value: object, field: str) -> None:
    with pytest.raises(BadUserInput) as caught:
        validate_metadata(value)
    assert caught.value.field == field
    assert caught.value.code == "BAD_USER_INPUT"
