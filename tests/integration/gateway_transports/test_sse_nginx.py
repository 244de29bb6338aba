"""Event streams behind nginx and several gateways: each request finds the one that holds its stream, unbuffered."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

from core.settings import Settings
from gateway.transports.limits import EdgeLimits
from stack import services
from stack.process import Child, Guard, free_port
from tests.integration.gateway_transports.edge import Edge, running_edge
from tests.integration.gateway_transports.event_stream import opened, reserve, start, told

STREAMS = 12


@pytest.fixture
async def edges(limits: EdgeLimits, ui_dist: Path) -> AsyncIterator[list[Edge]]:
    """Three gateways."""
    async with AsyncExitStack() as stack:
        settings = Settings(ui_dist=str(ui_dist))
        yield [await stack.enter_async_context(running_edge(limits, settings)) for _ in range(3)]


@pytest.fixture
async def client(edges: list[Edge], tmp_path: Path, process_guard: Guard) -> AsyncIterator[httpx.AsyncClient]:
    """A client of nginx before them, with a new connection for each request."""
    program = services.nginx(tmp_path, "127.0.0.1", free_port(), [edge.port for edge in edges])
    child = Child(program, tmp_path / "nginx.log", process_guard)
    child.start()
    try:
        child.await_ready()
        limits = httpx.Limits(max_keepalive_connections=0)
        async with httpx.AsyncClient(base_url=str(program.url), timeout=20, limits=limits) as client:
            yield client
    finally:
        child.stop()


async def test_operations_find_the_gateway_that_holds_their_stream(
    edges: list[Edge], client: httpx.AsyncClient
) -> None:
    for number in range(STREAMS):
        token = await reserve(client)
        async with opened(client, headers=token) as stream:
            for ident in ("a", "b"):
                assert (await start(client, token, ident, "subscription { silence }")).status_code == 202
            assert (await client.delete("/graphql?operationId=a", headers=token)).status_code == 200
            query = f'{{ hello(name: "{number}") }}'
            assert (await start(client, token, "a", query)).status_code == 202
            assert await stream.read() == told("a", {"hello": f"Hello, {number}"})
    for edge in edges:
        await edge.probe.wait_for_sources(0)
        await edge.app.state.streams.leave(0)


async def test_streams_are_spread_over_the_gateways(edges: list[Edge], client: httpx.AsyncClient) -> None:
    tokens = [await reserve(client) for _ in range(STREAMS)]
    assert len({token["x-graphql-event-stream-token"] for token in tokens}) == STREAMS
    held = [len(edge.app.state.streams) for edge in edges]
    assert sum(held) == STREAMS
    assert max(held) < STREAMS
    for edge in edges:
        await edge.app.state.streams.leave(0)
