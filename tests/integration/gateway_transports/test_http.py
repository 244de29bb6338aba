"""GraphQL over HTTP on a live gateway: the status, media type and error of every way a request can go."""

import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from structlog.contextvars import get_contextvars
from structlog.testing import capture_logs

from tests.integration.gateway_transports.edge import JSON, RESPONSE_JSON, Edge, code_of


@pytest.fixture
async def client(edge: Edge) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the live gateway that sends no Accept header of its own."""
    async with httpx.AsyncClient(base_url=edge.url, timeout=20) as client:
        del client.headers["accept"]
        yield client


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (None, JSON),
        ("*/*", JSON),
        (JSON, JSON),
        (RESPONSE_JSON, RESPONSE_JSON),
        (f"{JSON}, {RESPONSE_JSON}", RESPONSE_JSON),
        (f"{RESPONSE_JSON};q=0.5, {JSON};q=0.9", JSON),
    ],
)
async def test_answer_has_the_preferred_media_type(
    client: httpx.AsyncClient, accept: str | None, media_type: str
) -> None:
    headers = {} if accept is None else {"accept": accept}
    response = await client.post("/graphql", json={"query": "{ hello }"}, headers=headers)
    assert response.status_code == 200
    assert response.headers["content-type"] == f"{media_type}; charset=utf-8"
    assert response.json() == {"data": {"hello": "Hello, world"}}


async def test_batch_is_refused_with_a_message_that_says_so(client: httpx.AsyncClient) -> None:
    response = await client.post("/graphql", json=[{"query": "{ hello }"}])
    assert "batches are not supported" in response.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    ("request_body", "code"),
    [
        ({"query": "{"}, "GRAPHQL_PARSE_FAILED"),
        ({"query": ""}, "GRAPHQL_PARSE_FAILED"),
        ({"query": "{ " + "hello " * 2_100 + "}"}, "QUERY_TOO_COMPLEX"),
        ({"query": "{ nothing }"}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": "query A { hello }", "operationName": "B"}, "OPERATION_RESOLUTION_FAILURE"),
        ({"query": "query A { hello } query B { hello }"}, "OPERATION_RESOLUTION_FAILURE"),
        ({"query": "query A { hello } query B { hello }", "operationName": ""}, "OPERATION_RESOLUTION_FAILURE"),
        ({"query": "query($n: String!) { hello(name: $n) }"}, "BAD_USER_INPUT"),
        ({"query": "query($n: String!) { hello(name: $n) }", "variables": {"n": 7}}, "BAD_USER_INPUT"),
    ],
)
async def test_operation_that_never_begins_has_no_data(
    client: httpx.AsyncClient, request_body: dict[str, Any], code: str
) -> None:
    for accept, status in ((RESPONSE_JSON, 400), (JSON, 200)):
        response = await client.post("/graphql", json=request_body, headers={"accept": accept})
        assert response.status_code == status
        assert code_of(response) == code


async def test_execution_errors_come_with_data_and_masked(client: httpx.AsyncClient) -> None:
    response = await client.post("/graphql", json={"query": "{ hello broken refused }"}, headers={"x-request-id": "r7"})
    assert response.status_code == 200
    assert response.headers["x-request-id"] == "r7"
    body = response.json()
    assert body["data"] == {"hello": "Hello, world", "broken": None, "refused": None}
    by_code = {error["extensions"]["code"]: error for error in body["errors"]}
    assert by_code["INTERNAL"]["extensions"]["correlationId"] == "r7"
    assert by_code["BAD_USER_INPUT"]["extensions"]["field"] == "name"
    assert "secret" not in response.text


@pytest.mark.parametrize("accept", ["text/plain", "application/json;q=0", "text/html", "image/*"])
async def test_accept_that_nothing_satisfies_is_406(client: httpx.AsyncClient, accept: str) -> None:
    response = await client.post("/graphql", json={"query": "{ hello }"}, headers={"accept": accept})
    assert response.status_code == 406
    assert code_of(response) == "NOT_ACCEPTABLE"


@pytest.mark.parametrize("method", ["PATCH", "OPTIONS", "TRACE"])
async def test_other_methods_are_405(client: httpx.AsyncClient, method: str) -> None:
    response = await client.request(method, "/graphql")
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, POST, PUT, DELETE"
    assert code_of(response) == "METHOD_NOT_ALLOWED"


async def test_get_runs_a_query(client: httpx.AsyncClient) -> None:
    params = {"query": "query A($n: String) { hello(name: $n) }", "variables": '{"n": "you"}', "operationName": "A"}
    response = await client.get("/graphql", params=params)
    assert response.json() == {"data": {"hello": "Hello, you"}}


@pytest.mark.parametrize(
    ("params", "status", "code"),
    [
        ({}, 400, "BAD_REQUEST"),
        ({"query": "{ hello }", "variables": "[]"}, 400, "BAD_REQUEST"),
        ({"query": "{ hello }", "variables": "{"}, 400, "BAD_REQUEST"),
        ({"query": "{ hello }", "extensions": "7"}, 400, "BAD_REQUEST"),
        ({"query": 'mutation { store(content: "x") }'}, 405, "METHOD_NOT_ALLOWED"),
        ({"query": "subscription { count }"}, 400, "BAD_REQUEST"),
    ],
)
async def test_get_refuses(client: httpx.AsyncClient, params: dict[str, str], status: int, code: str) -> None:
    response = await client.get("/graphql", params=params, headers={"accept": JSON})
    assert (response.status_code, code_of(response)) == (status, code)
    assert response.headers.get("allow") == ("POST" if status == 405 else None)


@pytest.mark.parametrize("accept", [JSON, RESPONSE_JSON])
async def test_subscription_by_post_is_400(client: httpx.AsyncClient, accept: str) -> None:
    response = await client.post("/graphql", json={"query": "subscription { count }"}, headers={"accept": accept})
    assert response.status_code == 400
    assert "WebSocket" in response.json()["errors"][0]["message"]


async def test_metrics_count_operations(client: httpx.AsyncClient) -> None:
    async def count() -> float:
        text = (await client.get("/metrics")).text
        line = 'headway_operations_total{operation="query",outcome="ok"} '
        return next((float(row.removeprefix(line)) for row in text.splitlines() if row.startswith(line)), 0.0)

    before = await count()
    await client.post("/graphql", json={"query": "{ hello }"})
    assert await count() == before + 1


async def test_correlation_id_that_is_not_sane_is_replaced(client: httpx.AsyncClient) -> None:
    body = {"query": "{ correlation }"}
    response = await client.post("/graphql", json=body, headers={"x-request-id": "a" * 101})
    chosen = response.headers["x-request-id"]
    assert len(chosen) == 32
    assert json.loads(response.text) == {"data": {"correlation": f"local {chosen}"}}


async def test_bug_is_answered_and_logged_under_the_correlation_id(
    edge: Edge, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[Any] = []

    class Watching(logging.Handler):
        """Notes under which id the server logs."""

        def emit(self, record: logging.LogRecord) -> None:
            seen.append((record.getMessage().strip(), get_contextvars().get("correlation_id")))

    monkeypatch.setattr(edge.app.graphql_http, "_replica", None)
    caplog.set_level(logging.ERROR)
    handler = Watching()
    logging.getLogger("uvicorn.error").addHandler(handler)
    try:
        with capture_logs() as said:
            response = await client.post("/graphql", json={"query": "{ hello }"}, headers={"x-request-id": "r8"})
    finally:
        logging.getLogger("uvicorn.error").removeHandler(handler)
    error = response.json()["errors"][0]
    assert (response.status_code, response.headers["x-request-id"]) == (500, "r8")
    assert error == {"message": "Internal error", "extensions": {"code": "INTERNAL", "correlationId": "r8"}}
    assert seen == [("Exception in ASGI application", "r8")]
    assert [line["status"] for line in said if line["event"] == "Request"] == [500]
