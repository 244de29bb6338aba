"""Credentials that expire while a socket, a query or an event stream is open."""

import asyncio
import json
import time

import httpx
import pytest

from gateway import health
from gateway.context import Services
from gateway.transports.limits import EdgeLimits
from gateway.transports.websocket import CLOSE_TIMEOUT_S
from tests.integration.identity.callers import FOLLOW, running_task
from tests.integration.identity.conftest import Serve, bearer


async def test_token_that_expires_ends_its_streams_with_the_cursor_and_then_the_socket(serve: Serve) -> None:
    edge = await serve(jwt_leeway_s=0)
    task = await running_task()
    async with edge.connect() as client:
        await client.send(type="connection_init", payload=bearer(exp=int(time.time()) + 3))
        await client.read()
        for ident in ("a", "b"):
            await client.subscribe(ident, FOLLOW, variables={"id": str(task.id)})
        frames = [await client.read() for _ in range(4)]
        assert [frame["type"] for frame in frames] == ["next", "next", "error", "error"]
        for frame in frames[2:]:
            (error,) = frame["payload"]
            assert error["extensions"] == {"code": "UNAUTHENTICATED", "cursor": str(task.cursor)}
        code, reason = await client.read_close()
    assert (code, reason.partition(":")[0]) == (4403, "Forbidden")
    async with edge.connect() as client:
        await client.send(type="connection_init", payload=bearer())
        await client.read()
        query = "subscription ($id: ID!, $after: String) { taskEvents(id: $id, after: $after) { cursor } }"
        cursor = frames[2]["payload"][0]["extensions"]["cursor"]
        await client.subscribe("again", query, variables={"id": str(task.id), "after": cursor})
        await client.send(type="ping")
        assert await client.read() == {"type": "pong"}


async def test_token_that_expires_ends_all_streams_at_once_of_a_client_that_does_not_read(serve: Serve) -> None:
    edge = await serve(jwt_leeway_s=0)
    task = await running_task()
    async with edge.connect() as client:
        await client.send(type="connection_init", payload=bearer(exp=int(time.time()) + 2))
        await client.read()
        for ident in ("a", "b", "c"):
            await client.subscribe(ident, FOLLOW, variables={"id": str(task.id)})
            assert (await client.read())["id"] == ident
        (connection,) = edge.server.server_state.connections
        connection.pause_writing()
        counts = {edge.running_operations}
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            while edge.running_operations:
                await asyncio.sleep(0.01)
                counts.add(edge.running_operations)
        assert counts == {3, 0}
        connection.resume_writing()
        frames = [await client.read() for _ in range(3)]
        assert [(frame["id"], frame["type"]) for frame in frames] == [("a", "error"), ("b", "error"), ("c", "error")]
        assert (await client.read_close())[0] == 4403


async def test_token_that_expires_closes_an_idle_socket(serve: Serve) -> None:
    edge = await serve(jwt_leeway_s=0)
    async with edge.connect() as client:
        await client.send(type="connection_init", payload=bearer(exp=int(time.time()) + 2))
        assert (await client.read_close())[0] == 4403


async def test_query_under_way_when_the_token_expires_is_answered_first(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    edge = await serve(EdgeLimits(shutdown_s=10), jwt_leeway_s=0)
    release, check = asyncio.Event(), health.check

    async def held(services: Services) -> health.Health:
        await release.wait()
        return await check(services)

    monkeypatch.setattr(health, "check", held)
    async with edge.connect() as client:
        await client.send(type="connection_init", payload=bearer(exp=int(time.time()) + 2))
        await client.read()
        await client.subscribe("q", "{ health { status } }")
        await client.subscribe("s", FOLLOW, variables={"id": str((await running_task()).id)})
        assert [frame["id"] for frame in await client.read_until("error")] == ["s", "s"]
        release.set()
        assert [frame["type"] for frame in await client.read_until("complete")] == ["next", "complete"]
        assert (await client.read_close())[0] == 4403


async def test_token_that_expires_ends_an_event_stream_with_the_cursor(serve: Serve) -> None:
    edge = await serve(jwt_leeway_s=0)
    task = await running_task()
    body = {"query": FOLLOW, "variables": {"id": str(task.id)}}
    headers = {"accept": "text/event-stream", **bearer(exp=int(time.time()) + 3)}
    async with (
        httpx.AsyncClient(trust_env=False, timeout=20) as http,
        http.stream("POST", f"{edge.url}/graphql", json=body, headers=headers) as response,
    ):
        assert response.status_code == 200
        lines = [line async for line in response.aiter_lines() if line]
    events = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: {")]
    assert events[0]["data"]["taskProgress"]["id"] == str(task.id)
    assert events[-1]["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED", "cursor": str(task.cursor)}
    assert "event: complete" in lines[-2:]
