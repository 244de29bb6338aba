"""Bodies of GraphQL requests on a live gateway: malformed, of another media type, large, slow, or cut off."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from gateway.transports.limits import EdgeLimits
from tests.integration.gateway_transports.edge import JSON, RESPONSE_JSON, Edge, code_of

UNFINISHED = (
    b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"{",
        b"null",
        b"7",
        b'"{ hello }"',
        b"[]",
        b'[{"query": "{ hello }"}]',
        b"{}",
        b'{"query": null}',
        b'{"query": 7}',
        b'{"query": "{ hello \xff }"}',
        b'{"query": "{ hello }", "operationName": 7}',
        b'{"query": "{ hello }", "variables": []}',
        b'{"query": "{ hello }", "variables": "{}"}',
        b'{"query": "{ hello }", "extensions": 7}',
        b'{"query": "{ hello }", "variables": {"a": ' + b"[" * 64 + b"]" * 64 + b"}}",
        b'{"query": "{ hello }", "variables": {"a": ' + b"[" * 200_000 + b"]" * 200_000 + b"}}",
        b'{"query": "{ hello }", "variables": {"a": [' + b"1," * 30_000 + b"1]}}",
    ],
)
@pytest.mark.parametrize("accept", [JSON, RESPONSE_JSON])
async def test_malformed_request_is_400_in_either_media_type(
    client: httpx.AsyncClient, body: bytes, accept: str
) -> None:
    response = await client.post("/graphql", content=body, headers={"content-type": JSON, "accept": accept})
    assert response.status_code == 400
    assert response.headers["content-type"].startswith(accept)
    assert code_of(response) == "BAD_REQUEST"


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/graphql",
        "application/json; charset=utf-16",
        "text/plain, application/json",
    ],
)
async def test_body_a_browser_could_send_cross_site_is_415(client: httpx.AsyncClient, content_type: str | None) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    response = await client.post("/graphql", content=b'{"query": "{ hello }"}', headers=headers)
    assert response.status_code == 415
    assert code_of(response) == "UNSUPPORTED_MEDIA_TYPE"


async def test_compressed_body_is_415(client: httpx.AsyncClient) -> None:
    headers = {"content-type": JSON, "content-encoding": "gzip"}
    response = await client.post("/graphql", content=b"\x1f\x8b", headers=headers)
    assert response.status_code == 415


async def test_a_megabyte_of_content_passes(client: httpx.AsyncClient) -> None:
    content = "name,description\n" + "row,says a word\n" * 62_000
    body = {"query": "mutation($c: String!) { store(content: $c) }", "variables": {"c": content}}
    response = await client.post("/graphql", json=body)
    assert response.json() == {"data": {"store": len(content)}}


async def test_twenty_megabytes_are_413_declared_or_streamed(client: httpx.AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(200):
            yield b" " * 100_000

    for content in (b" " * 20_000_000, chunks()):
        response = await client.post("/graphql", content=content, headers={"content-type": JSON})
        assert response.status_code == 413
        assert code_of(response) == "PAYLOAD_TOO_LARGE"


async def test_client_that_sends_all_before_it_listens_gets_its_413(edge: Edge) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
    writer.write(
        b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        b"Content-Type: application/json\r\nContent-Length: 20000000\r\n\r\n"
    )
    for _ in range(200):
        writer.write(b" " * 100_000)
        await writer.drain()
    answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"PAYLOAD_TOO_LARGE"' in answer
    writer.close()
    await writer.wait_closed()


class TestSlowBody:
    @pytest.fixture
    def limits(self) -> EdgeLimits:
        return EdgeLimits(body_timeout_s=0.2)

    async def test_body_that_does_not_come_is_408(self, edge: Edge) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
        writer.write(UNFINISHED)
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b'"REQUEST_TIMEOUT"' in answer
        writer.close()
        await writer.wait_closed()


async def test_client_that_leaves_in_the_middle_of_its_body_is_no_error(
    edge: Edge, caplog: pytest.LogCaptureFixture
) -> None:
    _reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
    writer.write(UNFINISHED)
    await writer.drain()
    state = edge.server.server_state
    async with asyncio.timeout(10):
        while not state.tasks:  # noqa: ASYNC110  # uvicorn has no event for it.
            await asyncio.sleep(0.01)
        writer.transport.abort()
        while state.tasks:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
