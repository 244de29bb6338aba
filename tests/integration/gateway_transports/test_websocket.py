"""graphql-transport-ws on a real socket: every rule of the protocol, and nothing left afterwards."""

import asyncio
import json
from typing import Any

import pytest

from gateway.transports.limits import EdgeLimits
from tests.integration.gateway_transports.edge import Edge

SUBSCRIBE = {"id": "1", "type": "subscribe", "payload": {"query": "{ hello }"}}


@pytest.mark.parametrize("init", [{}, {"payload": None}, {"payload": {"authorization": "x"}}])
async def test_init_is_acknowledged(edge: Edge, init: dict[str, Any]) -> None:
    async with edge.connect() as client:
        await client.send(type="connection_init", **init)
        assert await client.read() == {"type": "connection_ack"}


async def test_ping_is_answered_at_any_time_and_pong_is_ignored(edge: Edge) -> None:
    async with edge.connect() as client:
        await client.send(type="ping", payload={"a": 1})
        assert await client.read() == {"type": "pong"}
        await client.send(type="pong", payload=None)
        await client.send(type="connection_init")
        assert await client.read() == {"type": "connection_ack"}


async def test_query_and_mutation_get_one_result_and_complete(edge: Edge) -> None:
    async with edge.session() as client:
        await client.subscribe("q", "query A { hello } query B($n: String!) { hello(name: $n) }", operationName="A")
        assert await client.read_until("complete") == [
            {"id": "q", "type": "next", "payload": {"data": {"hello": "Hello, world"}}},
            {"id": "q", "type": "complete"},
        ]
        await client.subscribe("m", "mutation($c: String!) { store(content: $c) }", variables={"c": "four"})
        assert (await client.read_until("complete"))[0]["payload"] == {"data": {"store": 4}}


async def test_subscription_gets_its_results_and_complete(edge: Edge) -> None:
    async with edge.session() as client:
        await client.subscribe('a "quoted" id', "subscription { count(to: 3) }")
        frames = await client.read_until("complete")
    assert [frame["type"] for frame in frames] == ["next", "next", "next", "complete"]
    assert [frame["payload"]["data"]["count"] for frame in frames[:-1]] == [0, 1, 2]
    assert {frame["id"] for frame in frames} == {'a "quoted" id'}


@pytest.mark.parametrize(
    ("query", "variables", "code"),
    [
        ("{", None, "GRAPHQL_PARSE_FAILED"),
        ("", None, "GRAPHQL_PARSE_FAILED"),
        ("subscription { }", None, "GRAPHQL_PARSE_FAILED"),
        ("{ nothing }", None, "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { count nothing: count }", None, "GRAPHQL_VALIDATION_FAILED"),
        ("fragment F on Query { hello }", None, "GRAPHQL_VALIDATION_FAILED"),
        ("query A { hello } query B { hello }", None, "OPERATION_RESOLUTION_FAILURE"),
        ("query($n: String!) { hello(name: $n) }", None, "BAD_USER_INPUT"),
        ("subscription($n: Int!) { count(to: $n) }", {"n": "many"}, "BAD_USER_INPUT"),
    ],
)
async def test_operation_that_cannot_run_gets_error_and_the_socket_lives(
    edge: Edge, query: str, variables: dict[str, Any] | None, code: str
) -> None:
    async with edge.session() as client:
        await client.subscribe("x", query, variables=variables)
        frame = await client.read()
        assert (frame["id"], frame["type"]) == ("x", "error")
        assert frame["payload"][0]["extensions"]["code"] == code
        await client.subscribe("x", "{ hello }")
        assert (await client.read())["payload"] == {"data": {"hello": "Hello, world"}}


async def test_execution_errors_travel_in_a_result(edge: Edge) -> None:
    async with edge.session() as client:
        await client.subscribe("x", "{ hello broken refused }")
        frames = await client.read_until("complete")
    payload = frames[0]["payload"]
    assert payload["data"] == {"hello": "Hello, world", "broken": None, "refused": None}
    assert {error["extensions"]["code"] for error in payload["errors"]} == {"INTERNAL", "BAD_USER_INPUT"}
    assert "secret" not in json.dumps(frames)


@pytest.mark.parametrize(("masked", "code"), [(False, "BAD_USER_INPUT"), (True, "INTERNAL")])
async def test_source_that_fails_ends_with_error(edge: Edge, masked: bool, code: str) -> None:
    async with edge.session() as client:
        await client.subscribe("x", "subscription($m: Boolean!) { failing(masked: $m) }", variables={"m": masked})
        first, last = await client.read_until("error")
        assert first["payload"] == {"data": {"failing": 0}}
        assert last["payload"][0]["extensions"]["code"] == code
        assert "secret" not in json.dumps(last)
        await client.send(type="ping")
        assert await client.read() == {"type": "pong"}


async def test_a_thousand_ids_in_sequence_leave_nothing(edge: Edge) -> None:
    async with edge.session() as client:
        for number in range(1_000):
            ident = f"{number}" if number % 2 else "again"
            await client.subscribe(ident, "subscription { count(to: 1) }")
            frames = await client.read_until("complete")
            assert [frame["id"] for frame in frames] == [ident, ident]
        assert edge.running_operations == 0
        assert edge.probe.open_sources == 0


async def test_complete_stops_a_stream_while_a_result_is_in_flight(edge: Edge) -> None:
    async with edge.session() as client:
        await client.subscribe("f", "subscription { flood(size: 100000) }")
        await client.read_until("next")
        await client.send(id="f", type="complete")
        await client.send(type="ping")
        await client.read_until("pong")
        await edge.probe.wait_for_sources(0)
        assert edge.running_operations == 0
        await client.subscribe("f", "{ hello }")
        assert await client.read_until("complete") == [
            {"id": "f", "type": "next", "payload": {"data": {"hello": "Hello, world"}}},
            {"id": "f", "type": "complete"},
        ]


async def test_id_is_free_as_soon_as_the_client_has_completed_it(edge: Edge) -> None:
    async with edge.session() as client:
        for _ in range(50):
            await client.subscribe("s", "subscription { silence }")
            await client.send(id="s", type="complete")
        await client.subscribe("s", "{ hello }")
        assert (await client.read_until("complete"))[0]["payload"] == {"data": {"hello": "Hello, world"}}
    await edge.probe.wait_for_sources(0)


async def test_complete_of_an_unknown_id_is_ignored(edge: Edge) -> None:
    async with edge.session() as client:
        await client.send(id="never", type="complete")
        await client.send(type="ping")
        assert await client.read() == {"type": "pong"}


async def test_client_that_vanishes_leaves_nothing(edge: Edge) -> None:
    async with edge.session() as client:
        for ident in ("a", "b"):
            await client.subscribe(ident, "subscription { silence }")
        await client.subscribe("c", "subscription { flood }")
        await client.subscribe("d", "{ held }")
        await edge.probe.wait_for_sources(3)
        await edge.probe.holding.wait()
        client.connection.transport.abort()
        await edge.probe.wait_for_sources(0)
        await edge.wait_until_empty()


async def test_operations_beyond_the_limit_are_refused_one_by_one(edge: Edge) -> None:
    async with edge.session() as client:
        for number in range(50):
            await client.subscribe(f"{number}", "subscription { silence }")
        await edge.probe.wait_for_sources(50)
        await client.subscribe("one more", "{ hello }")
        frame = await client.read()
        assert (frame["id"], frame["type"]) == ("one more", "error")
        assert frame["payload"][0]["extensions"]["code"] == "RATE_LIMITED"
        await client.send(id="0", type="complete")
        await client.subscribe("one more", "{ hello }")
        assert (await client.read())["type"] == "next"


async def test_message_that_is_too_big_is_closed_with_1009(edge: Edge) -> None:
    async with edge.session() as client:
        await client.subscribe("x", "{ hello }", variables={"a": "x" * 300_000})
        assert (await client.read_close())[0] == 1009


async def test_correlation_id_comes_from_the_handshake(edge: Edge) -> None:
    async with edge.session(additional_headers={"X-Request-Id": "trace-7"}) as client:
        response = client.connection.response
        assert response is not None
        assert response.headers["x-request-id"] == "trace-7"
        for number in (1, 2):
            await client.subscribe("x", "{ correlation }")
            frames = await client.read_until("complete")
            assert frames[0]["payload"] == {"data": {"correlation": f"local trace-7.{number}"}}


async def test_slow_reader_stops_its_stream_and_nobody_else(edge: Edge) -> None:
    async with edge.session(max_queue=1) as slow, edge.session() as other:
        await slow.subscribe("f", "subscription { flood(size: 100000) }")

        async def others_get_answers() -> int:
            for _ in range(50):
                await other.subscribe("q", "{ hello }")
                await other.read_until("complete")
            return edge.probe.yielded

        async with asyncio.timeout(30):
            seen = await others_get_answers()
            while seen != (seen := await others_get_answers()):
                pass
        # What the kernel's two buffers hold, and not one result more.
        assert 0 < seen < 500
        slow.connection.transport.abort()


class TestInitTimeout:
    @pytest.fixture
    def limits(self) -> EdgeLimits:
        return EdgeLimits(init_timeout_s=0.2)

    async def test_socket_without_init_is_closed_with_4408(self, edge: Edge) -> None:
        async with edge.connect() as client:
            await client.send(type="ping")
            await client.read()
            assert await client.read_close() == (4408, "Connection initialisation timeout")

    async def test_socket_with_init_outlives_the_timeout(self, edge: Edge) -> None:
        async with edge.session() as late, edge.connect() as mute:
            assert (await mute.read_close())[0] == 4408
            await late.send(type="ping")
            assert await late.read() == {"type": "pong"}
