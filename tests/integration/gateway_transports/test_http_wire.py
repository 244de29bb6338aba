"""GraphQL over HTTP, byte by byte: headers that come twice, bodies that are framed oddly, clients that wait first."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.transports.limits import EdgeLimits
from tests.integration.gateway_transports.edge import Edge

QUERY = b'{"query":"{ hello }"}'
ANSWER = b'{"data":{"hello":"Hello, world"}}'
HOST = b"Host: localhost"
JSON = b"Content-Type: application/json"
LENGTH = b"Content-Length: %d" % len(QUERY)
CLOSE = b"Connection: close"
SEGMENTS_AT = 152
"""Where tcp_info(7) of Linux counts the segments with data that came."""


def request(*headers: bytes, line: bytes = b"POST /graphql HTTP/1.1", body: bytes = b"") -> bytes:
    return b"\r\n".join((line, HOST, *headers, b"", body))


@asynccontextmanager
async def connected(edge: Edge) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Open a connection, for ten seconds at most."""
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
    try:
        async with asyncio.timeout(10):
            yield reader, writer
    finally:
        writer.transport.abort()


async def exchange(edge: Edge, sent: bytes) -> bytes:
    """Send everything, and return all that comes until the gateway closes the connection."""
    async with connected(edge) as (reader, writer):
        writer.write(sent)
        return await reader.read()


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


@pytest.mark.parametrize(
    "headers",
    [
        (JSON, b"Content-Type: text/plain"),
        (b"Content-Type: text/plain", JSON),
        (JSON, b"Content-Encoding: identity", b"Content-Encoding: gzip"),
        (JSON, b"Content-Encoding: gzip, identity"),
        (JSON, b"Content-Encoding: br"),
    ],
)
async def test_body_that_one_header_of_two_disowns_is_415(edge: Edge, headers: tuple[bytes, ...]) -> None:
    answer = await exchange(edge, request(*headers, LENGTH, CLOSE, body=QUERY))
    assert status(answer) == 415
    assert b'"UNSUPPORTED_MEDIA_TYPE"' in answer
    if any(header.startswith(b"Content-Encoding") for header in headers):
        assert b"\r\naccept-encoding: identity\r\n" in answer


async def test_accept_headers_count_together(edge: Edge) -> None:
    accept = (b"Accept: application/json;q=0.5", b"Accept: application/graphql-response+json")
    answer = await exchange(edge, request(*accept, JSON, LENGTH, CLOSE, body=QUERY))
    assert b"\r\ncontent-type: application/graphql-response+json; charset=utf-8\r\n" in answer


@pytest.mark.parametrize("hosts", [(b"evil.example",), (b"evil.example,",), (b"evil.example", b"x.localhost")])
async def test_every_name_in_host_has_to_be_ours(edge: Edge, hosts: tuple[bytes, ...]) -> None:
    named = [b"Host: " + host for host in hosts]
    assert status(await exchange(edge, request(*named, JSON, LENGTH, CLOSE, body=QUERY))) == 421


@pytest.mark.parametrize("query", [b"query={hello}&query={refused}", b"query={hello}&variables={}&variables={}"])
async def test_parameter_that_comes_twice_is_400(edge: Edge, query: bytes) -> None:
    answer = await exchange(edge, request(CLOSE, line=b"GET /graphql?" + query + b" HTTP/1.1"))
    assert status(answer) == 400
    assert b'"BAD_REQUEST"' in answer


async def test_head_is_405_without_a_body(edge: Edge) -> None:
    head, body = (await exchange(edge, request(CLOSE, line=b"HEAD /graphql?query={hello} HTTP/1.1"))).split(b"\r\n\r\n")
    assert status(head) == 405
    assert b"\r\nallow: GET, POST, PUT, DELETE\r\n" in head
    assert body == b""


async def test_small_answer_comes_whole_or_not_at_all(edge: Edge) -> None:
    # A proxy that has passed on a head can't ask another gateway when this one dies before the body.
    async with connected(edge) as (reader, writer):
        for count in range(1, 4):
            writer.write(request(JSON, LENGTH, body=QUERY))
            await reader.readuntil(ANSWER)
            assert segments_come(writer) == count


def segments_come(writer: asyncio.StreamWriter) -> int:
    info = writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    (count,) = struct.unpack_from("=I", info, SEGMENTS_AT)
    return int(count)


async def test_client_that_waits_is_told_to_go_on(edge: Edge) -> None:
    async with connected(edge) as (reader, writer):
        writer.write(request(JSON, LENGTH, b"Expect: 100-continue", CLOSE))
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(QUERY)
        answer = await reader.read()
        assert status(answer) == 200
        assert answer.endswith(ANSWER)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ((JSON, b"Content-Length: 20000000"), 413),
        ((b"Content-Type: text/plain", LENGTH), 415),
        ((JSON, b"Accept: image/png", LENGTH), 406),
    ],
)
async def test_client_that_waits_is_refused_before_it_sends(
    edge: Edge, headers: tuple[bytes, ...], expected: int
) -> None:
    # Were the connection kept, the next request on it would be read as the body of this one.
    answer = await exchange(edge, request(*headers, b"Expect: 100-continue"))
    assert status(answer) == expected
    assert b"\r\nconnection: close\r\n" in answer
    assert b"100 Continue" not in answer


@pytest.mark.parametrize(
    "headers",
    [
        (b"Transfer-Encoding: chunked", LENGTH),
        (LENGTH, b"Content-Length: 5"),
        (b"Content-Length: -1",),
        (b"Content-Length: 0x15",),
        (b"Transfer-Encoding: chunked, identity",),
        (b"Transfer-Encoding: gzip, chunked, gzip",),
    ],
)
async def test_body_whose_length_is_ambiguous_is_no_request(edge: Edge, headers: tuple[bytes, ...]) -> None:
    answer = await exchange(edge, request(JSON, *headers, body=QUERY))
    assert status(answer) == 400
    assert b'{"errors":[{"message":' in answer
    assert answer.count(b"HTTP/1.1 ") == 1


async def test_chunked_body_is_read(edge: Edge) -> None:
    chunks = b"".join(b"1;ext=x\r\n%c\r\n" % byte for byte in QUERY) + b"0\r\nTrailer: x\r\n\r\n"
    answer = await exchange(edge, request(JSON, b"Transfer-Encoding: chunked", CLOSE, body=chunks))
    assert status(answer) == 200
    assert answer.endswith(ANSWER)


async def test_requests_sent_at_once_are_answered_in_their_order(edge: Edge) -> None:
    first = request(JSON, LENGTH, body=QUERY)
    second = request(CLOSE, line=b"GET /graphql?query={__typename} HTTP/1.1")
    answer = await exchange(edge, first + second)
    assert answer.index(ANSWER) < answer.index(b'{"data":{"__typename":"Query"}}')


class TestBodyLimit:
    @pytest.fixture
    def limits(self) -> EdgeLimits:
        return EdgeLimits(max_body_bytes=100)

    @pytest.mark.parametrize(("size", "expected"), [(100, 200), (101, 413)])
    @pytest.mark.parametrize("is_chunked", [False, True])
    async def test_body_of_the_limit_passes_and_one_byte_more_is_413(
        self, edge: Edge, size: int, expected: int, is_chunked: bool
    ) -> None:
        body = QUERY.ljust(size)
        if is_chunked:
            framing, framed = b"Transfer-Encoding: chunked", b"%x\r\n%s\r\n0\r\n\r\n" % (size, body)
        else:
            framing, framed = b"Content-Length: %d" % size, body
        answer = await exchange(edge, request(JSON, framing, CLOSE, body=framed))
        assert status(answer) == expected

    async def test_body_without_end_ends_with_its_connection(self, edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("gateway.transports.http.DISCARDED_BYTES", 1_000)
        async with connected(edge) as (reader, writer):
            writer.write(request(JSON, b"Transfer-Encoding: chunked"))
            writer.write(b"%x\r\n%s\r\n" % (2_000, b" " * 2_000))
            answer = await reader.read()
            assert status(answer) == 413
            assert b"\r\nconnection: close\r\n" in answer


class TestSlowHeaders:
    @pytest.fixture
    def limits(self) -> EdgeLimits:
        return EdgeLimits(header_timeout_s=0.3, max_header_bytes=2_000)

    @pytest.mark.parametrize("sent", [b"", b"\r\n", b"POST", b"POST /graphql HTTP/1.1\r\nHost: localhost\r\n"])
    async def test_request_that_does_not_come_is_408(self, edge: Edge, sent: bytes) -> None:
        answer = await exchange(edge, sent)
        assert status(answer) == 408
        assert b'"REQUEST_TIMEOUT"' in answer

    async def test_headers_that_come_drop_by_drop_are_408(self, edge: Edge) -> None:
        async with connected(edge) as (reader, writer):
            reading = asyncio.create_task(reader.read())
            writer.write(b"POST /graphql HTTP/1.1\r\n")
            while not reading.done():
                writer.write(b"X: y\r\n")
                await asyncio.sleep(0.02)
            assert status(await reading) == 408

    @pytest.mark.parametrize("between", [b"\r\n", b"\r\n" * 20, b"GET"])
    async def test_next_request_that_does_not_come_is_408(self, edge: Edge, between: bytes) -> None:
        async with connected(edge) as (reader, writer):
            writer.write(request(JSON, LENGTH, body=QUERY))
            await reader.readuntil(ANSWER)
            writer.write(between)
            assert status(await reader.read()) == 408

    @pytest.mark.parametrize("sent", [b"GET /" + b"x" * 3_000, b"GET / HTTP/1.1\r\nX: " + b"x" * 3_000])
    async def test_headers_without_end_are_431(self, edge: Edge, sent: bytes) -> None:
        assert status(await exchange(edge, sent)) == 431

    @pytest.mark.parametrize("long", [b"X: " + b"x" * 2_000, b"\r\n".join([b"X: y"] * 1_200)])
    async def test_whole_headers_that_are_too_long_are_431_and_no_body_is_read(self, edge: Edge, long: bytes) -> None:
        answer = await exchange(edge, request(JSON, LENGTH, long, body=QUERY) + request(CLOSE, body=QUERY))
        assert status(answer) == 431
        assert answer.count(b"HTTP/1.1 ") == 1

    async def test_pipelined_requests_are_no_headers_of_the_one_before(self, edge: Edge) -> None:
        one = request(JSON, LENGTH, body=QUERY)
        async with connected(edge) as (reader, writer):
            writer.write(one + one[:30])
            await reader.readuntil(ANSWER)
            writer.write(one[30:] + one * 30 + one[:30])
            for _ in range(31):
                assert status(await reader.readuntil(ANSWER)) == 200
            writer.write(one[30:])
            assert status(await reader.readuntil(ANSWER)) == 200

    async def test_body_that_nobody_wanted_is_no_headers(self, edge: Edge) -> None:
        async with connected(edge) as (reader, writer):
            writer.write(request(b"Content-Type: text/plain", b"Content-Length: 9000"))
            assert status(await reader.readuntil(b"}]}")) == 415
            for _ in range(3):
                writer.write(b" " * 3_000)
                await writer.drain()
            writer.write(request(JSON, LENGTH, CLOSE, body=QUERY))
            assert (await reader.read()).endswith(ANSWER)

    async def test_socket_outlives_the_time_for_headers(self, edge: Edge) -> None:
        async with edge.session() as client:
            await client.subscribe("q", "{ held }")
            await edge.probe.holding.wait()
            await asyncio.sleep(0.5)  # Longer than headers may take, which have come.
            edge.probe.release.set()
            assert (await client.read_until("complete"))[0]["payload"] == {"data": {"held": "released"}}

    async def test_slow_answer_is_not_cut_by_what_the_client_sends_meanwhile(self, edge: Edge) -> None:
        async with connected(edge) as (reader, writer):
            writer.write(request(CLOSE, line=b"GET /graphql?query={held} HTTP/1.1"))
            await edge.probe.holding.wait()
            writer.write(b"\r\n")
            await asyncio.sleep(0.5)  # Longer than headers may take, which these bytes are not.
            edge.probe.release.set()
            assert status(await reader.read()) == 200


async def test_body_of_who_offers_another_protocol_is_no_request(edge: Edge) -> None:
    hidden = request(CLOSE, line=b"GET /graphql?query={hello} HTTP/1.1")
    offer = (b"Connection: upgrade", b"Upgrade: h2c", b"Content-Length: %d" % len(hidden))
    async with connected(edge) as (reader, writer):
        writer.write(request(*offer, line=b"GET /graphql?query={held} HTTP/1.1"))
        await edge.probe.holding.wait()
        writer.write(hidden)
        await asyncio.sleep(0.05)  # So that it has come before the answer ends the connection.
        edge.probe.release.set()
        answers = await reader.read()
    assert answers.count(b"HTTP/1.1 ") == 1
    assert b"\r\nconnection: close\r\n" in answers


class TestStalledReader:
    @pytest.fixture
    def limits(self) -> EdgeLimits:
        return EdgeLimits(stalled_write_s=0.3)

    async def test_who_is_refused_and_does_not_read_what_came_before_is_dropped(self, edge: Edge) -> None:
        loop, served = asyncio.get_running_loop(), edge.server.server_state.connections
        body = b'{"query":"query($name: String!) { hello(name: $name) }","variables":{"name":"%b"}}' % (b"x" * 50_000)
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            client.setblocking(False)
            async with asyncio.timeout(10):
                await loop.sock_connect(client, ("127.0.0.1", edge.port))
                while not served:  # noqa: ASYNC110  # The set has no event.
                    await asyncio.sleep(0.01)
                (connection,) = served
                transport = connection.transport
                transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
                await loop.sock_sendall(client, request(JSON, b"Content-Length: %d" % len(body), body=body))
                while not transport.get_write_buffer_size():  # noqa: ASYNC110  # A transport has no event.
                    await asyncio.sleep(0.01)
                await loop.sock_sendall(client, b"nothing of HTTP\r\n\r\n")
                while served:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)


async def test_same_head_again_and_again_is_each_time_a_request_of_its_own(edge: Edge) -> None:
    bodies = [b'{"query":"{ hello }"}', b'{"query":"{ hullo }"}', b'{"query":"{ hello }"]', b'{"query":"{ hello }"}']
    async with connected(edge) as (reader, writer):
        ids, told = set(), []
        for body in bodies:
            writer.write(request(JSON, LENGTH, body=body))
            head, answer = await next_answer(reader)
            told.append((status(head), b"Hello, world" in answer, b"hullo" in answer, b"BAD_REQUEST" in answer))
            ids.add(head.partition(b"x-request-id: ")[2].partition(b"\r\n")[0])
    right = (200, True, False, False)
    assert told == [right, (200, False, True, False), (400, False, False, True), right]
    assert len(ids) == len(bodies)


async def test_same_head_is_taken_for_what_it_is_however_it_comes(edge: Edge) -> None:
    whole = request(JSON, LENGTH, body=QUERY)
    other = request(JSON, LENGTH, b"Accept: image/png", body=QUERY)
    for count, (sent, statuses) in enumerate(
        [
            ((whole, whole), [200, 200]),
            ((whole[:30], whole[30:], whole), [200, 200]),
            ((whole[:-5], whole[-5:] + whole, whole), [200, 200, 200]),
            ((whole, whole * 3, whole), [200] * 5),
            ((whole, other, whole), [200, 406, 200]),
            ((whole, b"\r\n\r\n", whole), [200, 200]),
            ((whole, b"\r\n" + whole, whole), [200, 200, 200]),
            ((whole, whole.replace(b"/graphql ", b"/graphqq "), whole), [200, 404, 200]),
            ((whole, whole[:-1] + b"]", whole), [200, 400, 200]),
        ]
    ):
        async with connected(edge) as (reader, writer):
            for piece in (whole, *sent):
                writer.write(piece)
                await asyncio.sleep(0.02)  # So that it comes by itself; whatever comes together has to do as well.
            got = [status((await next_answer(reader))[0]) for _ in range(len(statuses) + 1)]
            assert (count, got) == (count, [200, *statuses])


async def next_answer(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Return the head and the body of the next answer on a connection that is kept."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return head, await reader.readexactly(length)
