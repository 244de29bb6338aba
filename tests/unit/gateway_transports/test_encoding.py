"""A response's JSON: the bytes that orjson writes, and little more than allowed where it is too much."""

import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from gateway.encoding import DEEP, encode_within
from gateway.outcomes import Outcome

RESPONSES: tuple[dict[str, Any], ...] = (
    {},
    {"data": None},
    {"data": {}, "errors": []},
    {"data": {'é"': [1, -2.5, True, None, "x\n"], "b": {"c": {"d": [{"e": [[]]}, {}]}}}, "errors": [{"message": "m"}]},
    {"data": {"tasks": {"nodes": [{"id": str(number), "input": {"x": [number]}} for number in range(5)]}}},
)


@pytest.mark.parametrize("response", RESPONSES)
def test_bytes_are_those_of_orjson_to_the_last_that_is_allowed(response: dict[str, Any]) -> None:
    written = orjson.dumps(response)
    assert encode_within(response, len(written)) == written
    assert encode_within(response, len(written) - 1) is None


def test_one_large_value_under_many_names_is_not_written_out() -> None:
    large = "x" * 1_000_000
    nodes = [{f"a{alias}": large for alias in range(30)} for _ in range(10)]
    tracemalloc.start()
    try:
        for response in (
            {"tasks": {"nodes": nodes}},
            {"batch": {"tasks": {"edges": [{"node": one} for one in nodes]}}},
        ):
            assert encode_within({"data": response}, 2_000_000, DEEP) is None
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("repeats", [False, True])
@pytest.mark.parametrize("is_large", [False, True])
def test_answer_beyond_the_bound_is_an_error_however_it_is_written(*, repeats: bool, is_large: bool) -> None:
    data = {"nodes": [{"id": "x" * 100} for _ in range(10)]}
    written = orjson.dumps({"data": data})
    fitting = Outcome(data, max_bytes=len(written), is_large=is_large, repeats=repeats)
    assert fitting.encode() == written
    answer = orjson.loads(replace(fitting, max_bytes=len(written) - 1).encode())
    assert (answer["data"], answer["errors"][0]["extensions"]["code"]) == (None, "RESPONSE_TOO_LARGE")


@pytest.mark.parametrize("repeats", [False, True])
def test_moment_within_stored_json_is_told_with_its_offset_however_it_was_read(*, repeats: bool) -> None:
    moment = datetime(2026, 1, 31, 12, 0, 0, 5_000, tzinfo=UTC)
    nodes = [{"metadata": {"at": moment}}, {"metadata": {"at": moment.replace(tzinfo=None)}}]
    told = orjson.loads(Outcome({"items": {"nodes": nodes}}, repeats=repeats).encode())["data"]["items"]["nodes"]
    assert told == [{"metadata": {"at": "2026-01-31T12:00:00.005000+00:00"}}] * 2
