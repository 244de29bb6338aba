"""graphql-sse under its limits: streams, reservations and operations that are too many, idle or stalled; shutdown."""

import asyncio
from pathlib import Path

import httpx
import pytest

from core.settings import Settings
from gateway.transports.limits import EdgeLimits
from tests.integration.gateway_transports.edge import Edge, code_of, running_edge
from tests.integration.gateway_transports.event_stream import EVENTS, opened, reserve, start, told


class TestLimits:
    @pytest.fixture
    def limits(self) -> EdgeLimits:
        return EdgeLimits(
            init_timeout_s=0.2, stream_reservations=2, operations_per_connection=2, stream_keep_alive_s=0.05
        )

    async def test_reservation_that_nobody_opens_goes_with_its_operations(
        self, edge: Edge, client: httpx.AsyncClient
    ) -> None:
        token = await reserve(client)
        await start(client, token, "s", "subscription { silence }")
        await edge.probe.wait_for_sources(1)
        await edge.probe.wait_for_sources(0)
        await edge.wait_until_empty()
        assert (await client.get("/graphql", headers=EVENTS | token)).status_code == 404

    async def test_reservations_are_bounded_and_opened_ones_do_not_count(self, client: httpx.AsyncClient) -> None:
        tokens = [await reserve(client) for _ in range(2)]
        response = await client.put("/graphql")
        assert (response.status_code, code_of(response)) == (429, "RATE_LIMITED")
        async with opened(client, headers=tokens[0]):
            await reserve(client)

    async def test_operations_of_a_stream_are_bounded(self, client: httpx.AsyncClient) -> None:
        token = await reserve(client)
        async with opened(client, headers=token):
            for ident in ("a", "b"):
                await start(client, token, ident, "subscription { silence }")
            response = await start(client, token, "c", "{ hello }")
            assert (response.status_code, code_of(response)) == (429, "RATE_LIMITED")
            await client.delete("/graphql", params={"operationId": "a"}, headers=token)
            assert (await start(client, token, "c", "{ hello }")).status_code == 202

    async def test_silent_stream_is_kept_alive_by_comments(self, client: httpx.AsyncClient) -> None:
        async with opened(client, "POST", json={"query": "subscription { silence }"}) as stream:
            for _ in range(3):
                assert await stream.read_block() == [":"]


class TestOneAddress:
    @pytest.fixture
    def limits(self) -> EdgeLimits:
        return EdgeLimits(connections_per_address=2, trusted_proxies="127.0.0.0/8")

    async def test_open_streams_of_one_address_are_bounded(self, edge: Edge, client: httpx.AsyncClient) -> None:
        token = await reserve(client)
        silence = {"query": "subscription { silence }"}
        async with opened(client, headers=token), opened(client, "POST", json=silence):
            await edge.probe.wait_for_sources(1)
            waiting = await reserve(client)
            for response in (
                await client.post("/graphql", json=silence, headers=EVENTS),
                await client.get("/graphql", headers=EVENTS | waiting),
            ):
                assert (response.status_code, code_of(response)) == (429, "RATE_LIMITED")
                assert response.headers["retry-after"] == "5"
            assert edge.probe.open_sources == 1
        async with asyncio.timeout(10):
            while len(edge.app.state.caps.sockets):  # noqa: ASYNC110  # The tally has no event.
                await asyncio.sleep(0.01)
        async with opened(client, headers=waiting):
            pass


class TestStalledReader:
    @pytest.fixture
    def limits(self) -> EdgeLimits:
        return EdgeLimits(stalled_write_s=0.3)

    async def test_client_that_reads_nothing_any_more_is_dropped(self, edge: Edge) -> None:
        _reader, writer = await asyncio.open_connection("127.0.0.1", edge.port, limit=1024)
        writer.write(
            b"GET /graphql?query=subscription%7Bflood(size:100000)%7D HTTP/1.1\r\nHost: localhost\r\n"
            b"Accept: text/event-stream\r\n\r\n"
        )
        await edge.probe.wait_for_sources(1)
        await edge.probe.wait_for_sources(0)
        await edge.wait_until_empty()
        writer.transport.abort()


class TestIdleStream:
    @pytest.fixture
    def limits(self) -> EdgeLimits:
        return EdgeLimits(idle_timeout_s=0.5)

    async def test_stream_on_which_nothing_runs_is_ended_and_a_busy_one_is_not(
        self, edge: Edge, client: httpx.AsyncClient
    ) -> None:
        idle_token, busy_token = await reserve(client), await reserve(client)
        async with opened(client, headers=idle_token) as idle, opened(client, headers=busy_token) as busy:
            await start(client, busy_token, "s", "subscription { silence }")
            await start(client, idle_token, "q", "{ hello }")
            assert await idle.read_all() == [told("q", {"hello": "Hello, world"}), ("complete", {"id": "q"})]
            assert (await start(client, idle_token, "q", "{ hello }")).status_code == 404
            await client.delete("/graphql?operationId=s", headers=busy_token)
            assert await busy.read_all() == []
        await edge.wait_until_empty()


class TestShutdown:
    async def test_queries_end_and_streams_close_without_a_complete(
        self, edge: Edge, client: httpx.AsyncClient
    ) -> None:
        token = await reserve(client)
        async with (
            opened(client, headers=token) as single,
            opened(client, "POST", json={"query": "subscription { silence }"}) as distinct,
        ):
            await start(client, token, "s", "subscription { silence }")
            await start(client, token, "q", "{ held }")
            await edge.probe.wait_for_sources(2)
            await edge.probe.holding.wait()
            stopping = asyncio.create_task(edge.stop())
            await edge.probe.wait_for_sources(0)
            assert await distinct.read() is None
            edge.probe.release.set()
            assert await single.read_all() == [told("q", {"held": "released"}), ("complete", {"id": "q"})]
            await stopping
        await edge.wait_until_empty()

    async def test_stopping_replica_opens_nothing(self, edge: Edge, client: httpx.AsyncClient) -> None:
        await reserve(client)
        await edge.app.state.streams.leave(0)
        assert len(edge.app.state.streams) == 0
        for response in (await client.put("/graphql"), await client.get("/graphql?query={hello}", headers=EVENTS)):
            assert (response.status_code, code_of(response)) == (503, "UNAVAILABLE")
            assert response.headers["connection"] == "close"


async def test_reservations_of_one_address_leave_room_for_others(ui_dist: Path) -> None:
    limits = EdgeLimits(stream_reservations_per_caller=2, init_timeout_s=0.2, trusted_proxies="127.0.0.1")
    async with (
        running_edge(limits, Settings(ui_dist=str(ui_dist))) as edge,
        httpx.AsyncClient(base_url=edge.url) as one,
    ):
        answers = [await one.put("/graphql") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [201, 201, 429]
        assert answers[2].headers["retry-after"] == "5"
        assert answers[2].json()["errors"][0]["extensions"]["code"] == "RATE_LIMITED"
        others = [await one.put("/graphql", headers={"x-forwarded-for": "203.0.113.9"}) for _ in range(3)]
        assert [answer.status_code for answer in others] == [201, 201, 429]
        async with asyncio.timeout(5):
            while len(edge.app.state.caps.reservations):  # noqa: ASYNC110  # The table has no event.
                await asyncio.sleep(0.02)
        assert (await one.put("/graphql")).status_code == 201
