"""What clients see when the gateway stops, and when they themselves go silent."""

import asyncio
import base64
import json
import os

import pytest

from gateway.transports.limits import EdgeLimits
from tests.integration.gateway_transports.edge import Client, Edge


async def begin_to_stop(edge: Edge, client: Client, *, subscribes: bool) -> asyncio.Task[None]:
    """Have the edge stop while a query is held; return once it has ended the client's subscription, if there is one."""
    if subscribes:
        await client.subscribe("s", "subscription { silence }")
        await edge.probe.wait_for_sources(1)
    await client.subscribe("q", "{ held }")
    await edge.probe.holding.wait()
    stopping = asyncio.create_task(edge.stop())
    await edge.probe.wait_for_sources(0)
    return stopping


@pytest.mark.parametrize(
    ("subscribes", "code", "reason"), [(False, 1001, "Going away"), (True, 1012, "Service restart")]
)
async def test_shutdown_finishes_queries_then_closes_and_tells_whether_something_was_cut_short(
    edge: Edge, subscribes: bool, code: int, reason: str
) -> None:
    async with edge.session() as client:
        stopping = await begin_to_stop(edge, client, subscribes=subscribes)
        edge.probe.release.set()
        assert await client.read() == {"id": "q", "type": "next", "payload": {"data": {"held": "released"}}}
        assert await client.read() == {"id": "q", "type": "complete"}
        assert await client.read_close() == (code, reason)
        await stopping


async def test_what_is_asked_for_during_a_shutdown_is_not_started_and_may_be_completed(edge: Edge) -> None:
    async with edge.session() as client:
        stopping = await begin_to_stop(edge, client, subscribes=True)
        await client.subscribe("late", "subscription { silence }")
        await client.send(type="complete", id="late")
        await client.send(type="ping")
        assert await client.read() == {"type": "pong"}
        edge.probe.release.set()
        assert [frame["id"] for frame in await client.read_until("complete")] == ["q", "q"]
        assert await client.read_close() == (1012, "Service restart")
        await stopping


class TestQueryThatDoesNotEnd:
    @pytest.fixture
    def limits(self) -> EdgeLimits:
        return EdgeLimits(shutdown_s=0.2)

    async def test_shutdown_does_not_wait_for_ever(self, edge: Edge) -> None:
        async with edge.session() as client:
            await client.subscribe("q", "{ held }")
            await edge.probe.holding.wait()
            stopping = asyncio.create_task(edge.stop())
            assert await client.read_close() == (1012, "Service restart")
            await stopping
            assert edge.running_operations == 0


class TestDeadPeer:
    @pytest.fixture
    def limits(self) -> EdgeLimits:
        return EdgeLimits(ping_interval_s=0.2, ping_timeout_s=0.2)

    @pytest.mark.parametrize("query", ["subscription { silence }", "subscription { flood(size: 100000) }"])
    async def test_peer_that_answers_no_ping_is_dropped(self, edge: Edge, query: str) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
        writer.write(
            b"GET /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n"
            b"Sec-WebSocket-Key: " + base64.b64encode(os.urandom(16)) + b"\r\n\r\n"
        )
        await reader.readuntil(b"\r\n\r\n")
        writer.write(text_frame({"type": "connection_init"}))
        writer.write(text_frame({"type": "subscribe", "id": "1", "payload": {"query": query}}))
        await edge.probe.wait_for_sources(1)
        await edge.probe.wait_for_sources(0)
        await edge.wait_until_empty()
        writer.transport.abort()


def text_frame(message: object) -> bytes:
    """Return a masked text frame of fewer than 126 bytes."""
    body = json.dumps(message).encode()
    assert len(body) < 126
    return bytes([0x81, 0x80 | len(body), 0, 0, 0, 0]) + body
