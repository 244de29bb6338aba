"""Caps on what one address holds and on sockets where nothing runs, and the log line of what ran."""

import httpx
import pytest
from structlog.testing import capture_logs
from websockets.exceptions import InvalidStatus

from gateway.transports.limits import EdgeLimits
from tests.integration.gateway_transports.edge import Edge

FROM_ELSEWHERE = {"X-Forwarded-For": "203.0.113.7"}


@pytest.fixture
def limits() -> EdgeLimits:
    """Two sockets an address, closed soon when idle."""
    return EdgeLimits(connections_per_address=2, idle_timeout_s=1.0)


async def test_third_socket_of_an_address_is_refused_and_another_address_is_not(edge: Edge) -> None:
    async with edge.session(), edge.session():
        with pytest.raises(InvalidStatus) as refused:
            async with edge.connect():
                pass
        assert refused.value.response.status_code == 429
        assert refused.value.response.headers["retry-after"] == "5"
        assert b"RATE_LIMITED" in (refused.value.response.body or b"")
        async with edge.session(additional_headers=FROM_ELSEWHERE):
            pass
    await edge.wait_until_empty()
    async with edge.session():
        pass


async def test_socket_without_an_operation_is_closed_and_one_with_an_operation_is_not(edge: Edge) -> None:
    async with edge.session() as busy, edge.session() as idle:
        await busy.subscribe("1", "subscription { silence }")
        await edge.probe.wait_for_sources(1)
        assert await idle.read_close() == (1000, "Idle")
        await busy.send(type="ping")
        assert await busy.read() == {"type": "pong"}


async def test_operation_is_logged_by_its_name_and_never_by_its_content(edge: Edge) -> None:
    with capture_logs() as said:
        async with edge.session() as client:
            await client.subscribe("1", "query Asked($n: String!) { hello(name: $n) }", variables={"n": "hush-hush"})
            await client.read_until("complete")
    [line] = [line for line in said if line["event"] == "Operation"]
    assert (line["name"], line["type"], line["outcome"]) == ("Asked", "query", "ok")
    assert line["duration_ms"] >= 0
    assert "hush-hush" not in str(said)
    assert "hello(" not in str(said)


async def test_request_is_logged_by_its_path_and_never_by_its_content(edge: Edge) -> None:
    query = "query ($n: String!) { hello(name: $n) }"
    asked = {"query": query, "variables": {"n": "hush-hush"}}
    with capture_logs() as said:
        async with httpx.AsyncClient(base_url=edge.url) as client:
            posted = await client.post("/graphql", json=asked, headers={"authorization": "Bearer hush-hush"})
            got = await client.get("/graphql", params={"query": query, "variables": '{"n":"hush-hush"}'})
            refused = await client.post("/graphql", json={**asked, "query": "{ nothing }"})
            nowhere = await client.get("/" + "x" * 5_000, params={"n": "hush-hush"})
    assert [answer.status_code for answer in (posted, got, refused, nowhere)] == [200, 200, 200, 404]
    lines = [line for line in said if line["event"] == "Request"]
    assert [(line["method"], line["path"], line["status"]) for line in lines] == [
        ("POST", "/graphql", 200),
        ("GET", "/graphql", 200),
        ("POST", "/graphql", 200),
        ("GET", "/" + "x" * 199, 404),
    ]
    assert all(line["duration_ms"] >= 0 for line in lines)
    for secret in ("hush-hush", "hello(", "nothing"):
        assert secret not in str(said)
