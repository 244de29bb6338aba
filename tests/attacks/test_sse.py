"""Attacks over event streams: those who don't read, floods of operations and reservations, and what is malformed."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack

import httpx
import pytest
from graphql import get_introspection_query

from tests.attacks.attackers import Raw, connected
from tests.attacks.target import FULL, Target, attacked

BOARD = {"query": "subscription { tasksChanged { id } }"}
LARGE = {"query": get_introspection_query()}
TOKEN = "X-GraphQL-Event-Stream-Token"
OPEN_SLOTS = 50


def client_of(target: Target) -> httpx.AsyncClient:
    """Return a client that keeps few connections."""
    limits = httpx.Limits(max_connections=20)
    return httpx.AsyncClient(base_url=target.url, timeout=30, trust_env=False, limits=limits)


async def reserve(target: Target, http: httpx.AsyncClient) -> str:
    """Return a new stream's token."""
    answer = await http.put("/graphql")
    target.statuses.append(answer.status_code)
    assert answer.status_code == 201, answer.text
    return answer.text


async def start(target: Target, http: httpx.AsyncClient, token: str, ident: str, asked: dict[str, str]) -> int:
    """Start an operation on a stream; return the status."""
    body = {**asked, "extensions": {"operationId": ident}}
    status = (await http.post("/graphql", json=body, headers={TOKEN: token})).status_code
    target.statuses.append(status)
    return status


def listen(raw: Raw, token: str) -> None:
    """Ask for the events of a reserved stream."""
    raw.send(
        f"GET /graphql HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n{TOKEN}: {token}\r\n\r\n".encode()
    )


async def test_thousand_operations_on_one_stream_are_too_many(target: Target) -> None:
    async with attacked(target), client_of(target) as http, connected(target) as raw:
        token = await reserve(target, http)
        listen(raw, token)
        assert await raw.read_status() == 200
        statuses = await asyncio.gather(*(start(target, http, token, str(n), BOARD) for n in range(1_000)))
        assert Counter(statuses) == {202: OPEN_SLOTS, 429: 1_000 - OPEN_SLOTS}


async def test_streams_whose_reader_takes_nothing_are_dropped(target: Target) -> None:
    async with attacked(target), client_of(target) as http, AsyncExitStack() as stack:
        memory = target.memory
        for _ in range(20 if FULL else 5):
            token = await reserve(target, http)
            raw = await stack.enter_async_context(connected(target, reads=False))
            listen(raw, token)
            started = [await start(target, http, token, str(n), LARGE) for n in range(OPEN_SLOTS)]
            assert started[0] == 202
            assert set(started) <= {202, 429, 404}
        assert target.memory - memory < 64 * 1024**2
        async with asyncio.timeout(30):
            while (await target.gauges())["headway_open_streams"]:  # noqa: ASYNC110  # It is another process's number.
                await asyncio.sleep(0.1)


async def test_hundreds_of_distinct_streams_leave_nothing(target: Target) -> None:
    head = (
        "POST /graphql HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nContent-Type: application/json\r\n"
    )
    body = b'{"query":"subscription { tasksChanged(maxHz: 60) { id inputJson resultJson } }"}'
    async with attacked(target), AsyncExitStack() as stack:
        for _ in range(500 if FULL else 100):
            raw = await stack.enter_async_context(connected(target, reads=False))
            raw.send(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        async with asyncio.timeout(30):
            while (await target.gauges())["headway_open_streams"] < 100:  # noqa: ASYNC110
                await asyncio.sleep(0.1)


async def test_flood_of_reservations_leaves_none(target: Target) -> None:
    async with attacked(target), client_of(target) as http:
        statuses: Counter[int] = Counter()

        async def try_to_reserve(times: int) -> None:
            for _ in range(times):
                statuses[(await http.put("/graphql")).status_code] += 1

        await asyncio.gather(*(try_to_reserve(50 if FULL else 10) for _ in range(100)))
        target.statuses.extend(statuses)
        assert statuses.keys() == {201, 429}
        async with asyncio.timeout(30):
            while (answer := await http.put("/graphql")).status_code == 429:  # noqa: ASYNC110
                await asyncio.sleep(0.2)
        assert answer.status_code == 201


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
async def test_malformed_requests_about_streams_are_refused(target: Target, method: str) -> None:
    async with attacked(target), client_of(target) as http:
        tokens = ["", "x", "x" * 100_000, "\x7f" * 30, "../" * 20, await reserve(target, http)]
        bodies = [b"", b"{", b"[]", b'{"query":1}', b'{"query":"{","extensions":{"operationId":[]}}', b"\xff" * 1_000]
        for token in tokens:
            for body in bodies:
                headers = {TOKEN: token, "content-type": "application/json", "accept": "text/event-stream"}
                if len(token) > 1_000:
                    headers.pop(TOKEN)
                given = {"token": token[:5_000], "operationId": "\x00" * 300}
                async with http.stream(method, "/graphql", params=given, content=body, headers=headers) as answer:
                    target.statuses.append(answer.status_code)
