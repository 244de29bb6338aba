"""What ends a socket of graphql-transport-ws: each close code of the protocol, with its reason."""

import pytest

from tests.integration.gateway_transports.edge import Edge

SUBSCRIBE = {"id": "1", "type": "subscribe", "payload": {"query": "{ hello }"}}


@pytest.mark.parametrize("protocols", [("graphql-ws",), ("mqtt", "graphql-ws")])
async def test_other_subprotocols_are_closed_with_4406(edge: Edge, protocols: tuple[str, ...]) -> None:
    async with edge.connect(*protocols) as client:
        assert await client.read_close() == (4406, "Subprotocol not acceptable")


async def test_the_right_subprotocol_is_found_among_others(edge: Edge) -> None:
    async with edge.connect("graphql-ws", "graphql-transport-ws") as client:
        assert client.connection.subprotocol == "graphql-transport-ws"


@pytest.mark.parametrize("origin", ["https://evil.example", "http://[", "null"])
async def test_a_page_of_another_host_is_closed_with_4403(edge: Edge, origin: str) -> None:
    async with edge.connect(origin=origin) as client:
        assert await client.read_close() == (4403, "Forbidden")


async def test_a_page_of_this_host_may_connect(edge: Edge) -> None:
    async with edge.session(origin=edge.url) as client:
        await client.send(type="ping")
        assert await client.read() == {"type": "pong"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "{",
        "null",
        "42",
        '"connection_init"',
        "[]",
        "[" * 100_000,
        "{}",
        '{"type":null}',
        '{"type":7}',
        '{"type":"start"}',
        '{"type":"connection_ack"}',
        '{"type":"next","id":"1","payload":{}}',
        '{"type":"error","id":"1","payload":[]}',
        '{"type":"' + "ü" * 5_000 + '"}',
        '{"type":"ping","payload":7}',
        '{"type":"connection_init","payload":"x"}',
        '{"type":"complete"}',
        '{"type":"complete","id":7}',
        '{"type":"subscribe"}',
        '{"type":"subscribe","id":"1"}',
        '{"type":"subscribe","id":"1","payload":null}',
        '{"type":"subscribe","id":"1","payload":{}}',
        '{"type":"subscribe","id":"","payload":{"query":"{hello}"}}',
        '{"type":"subscribe","id":null,"payload":{"query":"{hello}"}}',
        '{"type":"subscribe","id":"' + "x" * 257 + '","payload":{"query":"{hello}"}}',
        '{"type":"subscribe","id":"1","payload":{"query":7}}',
        '{"type":"subscribe","id":"1","payload":{"query":"{hello}","variables":[]}}',
        '{"type":"subscribe","id":"1","payload":{"query":"{hello}","operationName":{}}}',
        '{"type":"subscribe","id":"1","payload":{"query":"{hello}","extensions":"x"}}',
        '{"type":"subscribe","id":"1","payload":{"query":"{hello}","variables":{"a":' + "[" * 70 + "]" * 70 + "}}}",
        '{"type":"ping","payload":{"a":"\\ud800"}}',
    ],
)
async def test_malformed_message_is_closed_with_4400(edge: Edge, text: str) -> None:
    async with edge.session() as client:
        await client.subscribe("running", "subscription { silence }")
        await edge.probe.wait_for_sources(1)
        await client.connection.send(text)
        code, reason = await client.read_close()
    assert code == 4400
    assert reason.startswith("Invalid message: ")
    assert len(reason.encode()) <= 123
    assert "Traceback" not in reason
    assert "gateway" not in reason
    await edge.probe.wait_for_sources(0)


async def test_malformed_message_before_init_is_closed_with_4400(edge: Edge) -> None:
    async with edge.connect() as client:
        await client.connection.send("nonsense")
        assert (await client.read_close())[0] == 4400


async def test_binary_frame_is_closed_with_4400(edge: Edge) -> None:
    async with edge.connect() as client:
        await client.connection.send(b'{"type":"connection_init"}')
        assert await client.read_close() == (4400, "Invalid message: expected a text frame")


async def test_subscribe_before_init_is_closed_with_4401(edge: Edge) -> None:
    async with edge.connect() as client:
        await client.send(**SUBSCRIBE)
        assert await client.read_close() == (4401, "Unauthorized")


async def test_second_init_is_closed_with_4429(edge: Edge) -> None:
    async with edge.session() as client:
        await client.send(type="connection_init")
        assert await client.read_close() == (4429, "Too many initialisation requests")


async def test_id_in_use_is_closed_with_4409(edge: Edge) -> None:
    async with edge.session() as client:
        await client.subscribe("a", "subscription { silence }")
        await client.subscribe("a", "{ hello }")
        assert await client.read_close() == (4409, "Subscriber for a already exists")
