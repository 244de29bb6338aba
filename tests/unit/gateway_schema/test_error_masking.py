"""What of an error a client gets to see."""

from typing import Any

import pytest
import strawberry
from graphql import GraphQLError
from pymongo.errors import AutoReconnect, OperationFailure, ServerSelectionTimeoutError, WaitQueueTimeoutError
from structlog.testing import capture_logs

from core.errors import BadUserInput, Conflict, NotFound, Unavailable
from gateway.errors import mask
from gateway.schema import build_schema
from jobs.kinds import load_kinds

SCHEMA = build_schema(load_kinds())
CORRELATION_ID = "c-1"


def failing(exc: Exception) -> strawberry.Schema:
    """Return a schema whose only field raises."""

    @strawberry.type
    class Query:
        @strawberry.field
        def broken(self) -> int:
            raise exc

        @strawberry.field
        def large(self) -> int:
            return 2**31

        @strawberry.field
        def missing(self) -> int:
            return None  # type: ignore[return-value]

    return strawberry.Schema(query=Query)


async def masked(schema: strawberry.Schema, query: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
    result = await schema.execute(query, variable_values=variables)
    assert result.errors
    return mask(result.errors, CORRELATION_ID)[0]


@pytest.mark.parametrize(
    ("exc", "extensions"),
    [
        (
            BadUserInput("first", "1 to 9", got=0),
            {"code": "BAD_USER_INPUT", "field": "first", "expected": "1 to 9"},
        ),
        (NotFound("task", "7"), {"code": "NOT_FOUND"}),
        (Conflict("name", "taken"), {"code": "CONFLICT", "field": "name"}),
        (Unavailable("Redis"), {"code": "UNAVAILABLE", "service": "Redis"}),
    ],
)
async def test_our_own_errors_keep_message_place_and_extensions(exc: Exception, extensions: dict[str, Any]) -> None:
    error = await masked(failing(exc), "{ broken }")
    assert error["message"] == str(exc)
    assert error["path"] == ["broken"]
    assert error["locations"] == [{"line": 1, "column": 3}]
    assert error["extensions"] == {**extensions, "correlationId": CORRELATION_ID}


@pytest.mark.parametrize(
    "exc",
    [
        ServerSelectionTimeoutError("mongodb://user:secret@db: refused"),
        AutoReconnect("closed"),
        WaitQueueTimeoutError("busy"),
    ],
)
async def test_a_database_that_does_not_answer_is_unavailable(exc: Exception) -> None:
    error = await masked(failing(exc), "{ broken }")
    assert error["extensions"]["code"] == "UNAVAILABLE"
    assert error["extensions"]["service"] == "MongoDB"
    assert "secret" not in error["message"]


@pytest.mark.parametrize("exc", [ValueError("secret"), OperationFailure("secret"), KeyError("secret")])
async def test_anything_else_is_masked_and_logged_with_its_traceback(exc: Exception) -> None:
    with capture_logs() as logs:
        error = await masked(failing(exc), "{ broken }")
    assert error == {
        "message": "Internal error",
        "locations": [{"line": 1, "column": 3}],
        "path": ["broken"],
        "extensions": {"code": "INTERNAL", "correlationId": CORRELATION_ID},
    }
    (entry,) = logs
    assert entry["exc_info"] is exc
    assert entry["correlation_id"] == CORRELATION_ID
    assert entry["path"] == ["broken"]


async def test_a_null_where_none_may_be_is_a_bug_and_masked() -> None:
    assert (await masked(failing(ValueError()), "{ missing }"))["extensions"]["code"] == "INTERNAL"


async def test_a_number_too_large_for_int_says_so() -> None:
    error = await masked(failing(ValueError()), "{ large }")
    assert error["extensions"]["code"] == "VALUE_OUT_OF_RANGE"
    assert "2147483648" in error["message"]


@pytest.mark.parametrize(
    ("query", "variables", "code"),
    [
        ("{", None, "GRAPHQL_PARSE_FAILED"),
        ("{ item(id: 1) { id ", None, "GRAPHQL_PARSE_FAILED"),
        ("{ nothing }", None, "GRAPHQL_VALIDATION_FAILED"),
        ("{ items(first: true) { totalCount } }", None, "GRAPHQL_VALIDATION_FAILED"),
        ('mutation { processData(input: {data: "x", iterations: "5"}) { id } }', None, "GRAPHQL_VALIDATION_FAILED"),
        ('{ items(filter: {createdFrom: "yesterday"}) { totalCount } }', None, "GRAPHQL_VALIDATION_FAILED"),
        ("query ($n: Int) { items(first: $n) { totalCount } }", {"n": "x"}, "BAD_USER_INPUT"),
        ("query ($n: Int) { items(first: $n) { totalCount } }", {"n": 2**40}, "BAD_USER_INPUT"),
        ("query ($i: ID!) { item(id: $i) { id } }", {}, "BAD_USER_INPUT"),
        ("query ($i: ID!) { item(id: $i) { id } }", {"i": None}, "BAD_USER_INPUT"),
        ("query ($i: ItemFilter) { items(filter: $i) { totalCount } }", {"i": {"x": 1}}, "BAD_USER_INPUT"),
        (
            "query ($i: ItemFilter) { items(filter: $i) { totalCount } }",
            {"i": {"createdFrom": "2026-01-31"}},
            "BAD_USER_INPUT",
        ),
        ("query ($o: ItemOrder) { items(order: $o) { totalCount } }", {"o": "BY_LUCK"}, "BAD_USER_INPUT"),
        ("query ($n: Int = null, $m: Int) { items(first: $n) { totalCount } item(id: $m) { id } }", {}, None),
    ],
)
async def test_what_graphql_refuses_has_a_code(query: str, variables: dict[str, Any] | None, code: str | None) -> None:
    error = await masked(SCHEMA, query, variables)
    assert error["extensions"]["code"] == (code or "GRAPHQL_VALIDATION_FAILED")
    assert error["message"] != "Internal error"


async def test_a_variable_left_out_where_a_value_is_needed_is_bad_input() -> None:
    query = 'mutation ($n: Int = 5) { processData(input: {data: "x", iterations: $n}) { id } }'
    error = await masked(SCHEMA, query, {"n": None})
    assert error["extensions"]["code"] == "BAD_USER_INPUT"


def test_errors_that_carry_a_code_already_keep_it() -> None:
    error = GraphQLError("Too deep", extensions={"code": "DEPTH", "limit": 12})
    assert mask([error], CORRELATION_ID) == [{"message": "Too deep", "extensions": {"code": "DEPTH", "limit": 12}}]
