"""What clients submit is checked strictly and reported under the names they know."""

from typing import Any

import pytest

from core.errors import BadUserInput
from gateway.inputs import MAX_INPUT_DEPTH, parse_input
from gateway.shapes import shape_of
from tests.unit.gateway_schema.sample_kind import PAINT, PaintInput, PaintResult


def test_defaults_are_filled_in_and_values_are_stored_as_json() -> None:
    stored = parse_input(PAINT, {"title": "A", "colour": "DARK_BLUE", "corners": [{"xPos": 1, "yPos": 2.5}]})

    assert stored["colour"] == "dark-blue"
    assert stored["corners"] == [{"x_pos": 1.0, "y_pos": 2.5}]
    assert (stored["style"], stored["copies"], stored["price"], stored["due"]) == ("OIL", 1, "1.5", None)
    assert PaintInput.model_validate(stored).corners[0].y_pos == 2.5


def test_stored_json_comes_back_under_graphql_names() -> None:
    stored = parse_input(PAINT, {"title": "A", "colour": "DARK_BLUE", "corners": [{"xPos": 1}], "extra": {"a_b": 1}})

    shown = shape_of(PaintInput).public(stored)

    assert shown["colour"] == "DARK_BLUE"
    assert shown["corners"] == [{"xPos": 1.0, "yPos": 0.0}]
    assert shown["extra"] == {"a_b": 1}
    assert parse_input(PAINT, shown) == stored


def test_a_result_keeps_what_its_model_does_not_know() -> None:
    shown = shape_of(PaintResult).public({"layers": [{"layer_no": 1}], "old_field": 2})
    assert shown == {"layers": [{"layerNo": 1}], "old_field": 2}


@pytest.mark.parametrize(
    ("value", "field", "expected"),
    [
        ({}, "input.title", "text, 1 to 20 characters"),
        ({"title": ""}, "input.title", "text, 1 to 20 characters"),
        ({"title": 7}, "input.title", "text, 1 to 20 characters"),
        ({"title": "x" * 21}, "input.title", "text, 1 to 20 characters"),
        ({"title": "banned"}, "input.title", "a title that is not banned"),
        ({"title": "A", "copies": 0}, "input.copies", "a whole number, 1 to 50"),
        ({"title": "A", "copies": 10**9}, "input.copies", "a whole number, 1 to 50"),
        ({"title": "A", "copies": "5"}, "input.copies", "a whole number, 1 to 50"),
        ({"title": "A", "copies": True}, "input.copies", "a whole number, 1 to 50"),
        ({"title": "A", "copies": 1.5}, "input.copies", "a whole number, 1 to 50"),
        ({"title": "A", "copies": None}, "input.copies", "a whole number, 1 to 50"),
        ({"title": "A", "serial": 2**41}, "input.serial", "a whole number of 64 bits, 0 to 1,099,511,627,776"),
        ({"title": "A", "colour": "red"}, "input.colour", "one of RED, DARK_BLUE"),
        ({"title": "A", "colour": ["RED"]}, "input.colour", "one of RED, DARK_BLUE"),
        ({"title": "A", "style": "PASTEL"}, "input.style", "one of OIL, INK"),
        ({"title": "A", "corners": [{"xPos": 1}, {}]}, "input.corners.1.xPos", "a number"),
        (
            {"title": "A", "corners": [{"xPos": 1, "yPos": 100}]},
            "input.corners.0.yPos",
            "a number, at least 0 and less than 100",
        ),
        ({"title": "A", "corners": [{"xPos": 1}] * 4}, "input.corners", "a list, at most 3 entries"),
        ({"title": "A", "corners": {"xPos": 1}}, "input.corners", "a list, at most 3 entries"),
        ({"title": "A", "corners": [3]}, "input.corners.0", "an object"),
        ({"title": "A", "tags": ["long enough"]}, "input.tags.0", "a list"),
        ({"title": "A", "due": "yesterday"}, "input.due", "a date and time"),
        ({"title": "A", "ref": "7"}, "input.ref", "a UUID"),
        ({"title": "A", "copies": 50, "colour": "DARK_BLUE"}, "input", "fewer copies of dark blue"),
        ("text", "input", "an object"),
        (None, "input", "an object"),
    ],
)
def test_a_wrong_value_is_named_with_what_it_should_be(value: Any, field: str, expected: str) -> None:
    with pytest.raises(BadUserInput) as caught:
        parse_input(PAINT, value)
    assert (caught.value.field, caught.value.expected) == (field, expected)


def test_an_unknown_field_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(BadUserInput, match=r"input\.x_pos: expected one of the fields title, colour"):
        parse_input(PAINT, {"title": "A", "x_pos": 1})


def test_a_number_beyond_32_bits_is_refused_where_the_schema_says_int() -> None:
    with pytest.raises(BadUserInput, match=r"input\.copies: expected a whole number, 1 to 50"):
        parse_input(PAINT, {"title": "A", "copies": 2**31})


@pytest.mark.parametrize("extra", [{"n": 2**70}, {"s": "\ud800"}])
def test_what_json_or_the_database_cannot_hold_is_bad_input(extra: dict[str, Any]) -> None:
    with pytest.raises(BadUserInput, match=r"^input: expected JSON with whole numbers"):
        parse_input(PAINT, {"title": "A", "extra": extra})


def test_input_that_is_nested_too_deeply_is_refused_without_recursing_through_it() -> None:
    deep: Any = 1
    for _ in range(5_000):
        deep = [deep]
    with pytest.raises(BadUserInput, match=f"at most {MAX_INPUT_DEPTH} levels"):
        parse_input(PAINT, {"title": "A", "extra": {"deep": deep}})


def test_input_that_is_too_large_is_refused() -> None:
    with pytest.raises(BadUserInput, match="at most 8,388,608 bytes as JSON"):
        parse_input(PAINT, {"title": "A", "extra": {"s": "x" * 9_000_000}})
