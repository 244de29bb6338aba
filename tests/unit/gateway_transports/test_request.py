"""What a request's JSON may look like: depth and size are counted in values, never guessed from the text."""

import json
from typing import Any

import pytest

from gateway.transports.limits import EdgeLimits
from gateway.transports.request import Unreadable, decode_body, decode_params

LIMITS = EdgeLimits(max_json_depth=4, max_json_nodes=10)


def body(variables: Any) -> bytes:
    """Return a body with these variables."""
    return json.dumps({"query": "{ a }", "variables": variables}).encode()


def nested(levels: int) -> Any:
    """Return a value inside so many lists."""
    return json.loads("[" * levels + "1" + "]" * levels)


def test_names_of_the_specification_are_read() -> None:
    request = decode_body(b'{"query":"{ a }","operationName":"A","variables":{"b":1},"extensions":null,"x":0}', LIMITS)
    assert (request.query, request.operation_name, request.variables, request.extensions) == (
        "{ a }",
        "A",
        {"b": 1},
        None,
    )


def test_nesting_is_limited() -> None:
    decode_body(body({"a": nested(2)}), LIMITS)
    with pytest.raises(Unreadable, match="at most 4 levels"):
        decode_body(body({"a": nested(4)}), LIMITS)


def test_number_of_values_is_limited() -> None:
    decode_body(body({"a": list(range(9))}), LIMITS)
    with pytest.raises(Unreadable, match="at most 10 values"):
        decode_body(body({"a": list(range(10))}), LIMITS)


def test_brackets_and_commas_inside_a_text_count_nothing() -> None:
    request = decode_body(body({"a": "[{,}]" * 1_000}), LIMITS)
    assert request.variables == {"a": "[{,}]" * 1_000}


@pytest.mark.parametrize("text", [b"\xff", b'{"query":"\xc3("}', b'{"query":"\\ud800"}'])
def test_bytes_that_are_no_utf_8_are_unreadable(text: bytes) -> None:
    with pytest.raises(Unreadable, match="expected"):
        decode_body(text, LIMITS)


def test_message_names_the_field_and_what_was_expected() -> None:
    with pytest.raises(Unreadable, match=r"Expected `object \| null`, got `array` - at `\$\.variables`"):
        decode_body(b'{"query":"{ a }","variables":[]}', LIMITS)


def test_empty_parameters_of_a_get_are_as_absent() -> None:
    request = decode_params({"query": "{ a }", "variables": "", "extensions": "", "operationName": ""}, LIMITS)
    assert (request.operation_name, request.variables, request.extensions) == (None, None, None)
