"""What an exchange writes, what it hands on of a body, and how long a connection may be idle."""

import asyncio
import logging
from typing import Any

import pytest
from uvicorn.protocols.http.flow_control import FlowControl

from gateway.transports.connections import Idleness
from gateway.transports.exchange import Exchange, find_target

LENGTH_2 = (b"content-length", b"2")


class Wire(asyncio.Transport):
    """A transport whose peer takes everything."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []
        self.is_closed = False

    def write(self, data: Any) -> None:
        """Take a piece."""
        self.pieces.append(bytes(data))

    def close(self) -> None:
        """Close."""
        self.is_closed = True

    def is_closing(self) -> bool:
        """Whether it is closed."""
        return self.is_closed


def begun(wire: Wire, method: str = "POST", *, waits: bool = False, keep_alive: bool = True) -> Exchange:
    log = logging.getLogger(__name__)
    scope: Any = {"type": "http", "method": method}
    event, flow = asyncio.Event(), FlowControl(wire)
    return Exchange(scope, wire, flow, log, log, False, [], event, waits, keep_alive, lambda: None)


async def answer(exchange: Exchange, *pieces: bytes, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
    await exchange.send({"type": "http.response.start", "status": 200, "headers": headers})
    for count, piece in enumerate(pieces, 1):
        await exchange.send({"type": "http.response.body", "body": piece, "more_body": count < len(pieces)})


async def test_head_is_written_with_the_first_of_the_body_and_not_before() -> None:
    wire = Wire()
    exchange = begun(wire)
    await answer(exchange, headers=(LENGTH_2,))
    assert wire.pieces == []
    await exchange.send({"type": "http.response.body", "body": b"ok"})
    assert wire.pieces == [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"]
    assert exchange.response_complete
    assert not wire.is_closed


async def test_body_without_a_length_is_chunked() -> None:
    wire = Wire()
    await answer(begun(wire), b"one", b"", b"three")
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    assert b"".join(wire.pieces) == head + b"3\r\none\r\n5\r\nthree\r\n0\r\n\r\n"


async def test_head_request_gets_the_head_alone() -> None:
    wire = Wire()
    await answer(begun(wire, "HEAD"), b"ok", headers=(LENGTH_2,))
    assert wire.pieces == [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"]


@pytest.mark.parametrize("headers", [(LENGTH_2,), (LENGTH_2, (b"connection", b"te, Close"))])
async def test_connection_that_is_not_kept_is_closed_and_told_so_once(headers: tuple[tuple[bytes, bytes], ...]) -> None:
    wire = Wire()
    await answer(begun(wire, keep_alive=len(headers) > 1), b"ok", headers=headers)
    assert wire.is_closed
    assert wire.pieces[0].lower().count(b"connection: ") == 1


@pytest.mark.parametrize(
    "header", [(b"x", b"a\r\nb: c"), (b"x\r\ny", b"a"), (b"x y", b"a"), (b"x", b"a\0"), (b"x:", b"a")]
)
async def test_header_that_could_end_its_line_is_a_bug(header: tuple[bytes, bytes]) -> None:
    wire = Wire()
    with pytest.raises(RuntimeError):
        await answer(begun(wire), b"ok", headers=(LENGTH_2, header))
    assert wire.pieces == []


@pytest.mark.parametrize("pieces", [(b"o",), (b"o", b"kay"), (b"okay",)])
async def test_body_of_another_length_than_its_head_says_is_a_bug(pieces: tuple[bytes, ...]) -> None:
    with pytest.raises(RuntimeError):
        await answer(begun(Wire()), *pieces, headers=(LENGTH_2,))


async def test_body_that_came_whole_is_taken_once_without_a_wait() -> None:
    exchange = begun(Wire(), waits=True)
    assert exchange.take_whole_body() is None
    exchange.body += b"all"
    exchange.more_body = False
    assert exchange.take_whole_body() == b"all"
    assert exchange.take_whole_body() is None
    exchange.disconnected = True
    exchange.message_event.set()
    assert await exchange.receive() == {"type": "http.disconnect"}


async def test_body_that_comes_in_pieces_is_received_to_its_end() -> None:
    wire = Wire()
    exchange = begun(wire, waits=True)
    exchange.body += b"one"
    exchange.message_event.set()
    assert await exchange.receive() == {"type": "http.request", "body": b"one", "more_body": True}
    assert wire.pieces == [b"HTTP/1.1 100 Continue\r\n\r\n"]
    exchange.body += b"two"
    exchange.more_body = False
    exchange.message_event.set()
    assert await exchange.receive() == {"type": "http.request", "body": b"two", "more_body": False}
    assert exchange.take_whole_body() is None


@pytest.mark.parametrize("length", [10, 1_000])
def test_target_is_taken_apart(length: int) -> None:
    raw = b"/" + b"%41" * length
    assert find_target(raw + b"?a=%42") == ("/" + "A" * length, raw, b"a=%42")
    assert find_target(raw) == ("/" + "A" * length, raw, b"")


async def test_connection_ends_when_it_was_idle_for_so_long_and_not_before() -> None:
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    idleness = Idleness(loop, 0.2)
    idleness.begin(ended.set)
    await asyncio.sleep(0.15)
    idleness.end()
    idleness.begin(ended.set)
    began = loop.time()
    await asyncio.wait_for(ended.wait(), 5)
    assert loop.time() - began >= 0.19


@pytest.mark.parametrize("over", ["end", "forget"])
async def test_connection_that_works_or_is_lost_is_not_idle(over: str) -> None:
    ended = asyncio.Event()
    idleness = Idleness(asyncio.get_running_loop(), 0.05)
    idleness.begin(ended.set)
    getattr(idleness, over)()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ended.wait(), 0.2)


@pytest.mark.parametrize(("keep_alive", "end"), [(True, b""), (False, b"connection: close\r\n")])
async def test_answer_at_once_is_written_whole(keep_alive: bool, end: bytes) -> None:
    wire = Wire()
    exchange = begun(wire, keep_alive=keep_alive)
    exchange.default_headers = [(b"date", b"now")]
    assert exchange.answer(200, b"content-length: 2\r\n", b"ok")
    assert wire.pieces == [b"HTTP/1.1 200 OK\r\ndate: now\r\ncontent-length: 2\r\n" + end + b"\r\nok"]
    assert exchange.response_complete
    assert wire.is_closed is not keep_alive


async def test_answer_that_has_to_wait_or_has_no_body_is_not_given_at_once() -> None:
    wire = Wire()
    late, head, started = begun(wire), begun(wire, "HEAD"), begun(wire)
    late.flow.write_paused = True
    await started.send({"type": "http.response.start", "status": 200, "headers": (LENGTH_2,)})
    for exchange in (late, head, started):
        assert not exchange.answer(200, b"content-length: 2\r\n", b"ok")
    assert wire.pieces == []


async def test_answer_to_a_client_that_has_gone_is_let_go_of() -> None:
    wire = Wire()
    exchange = begun(wire)
    exchange.disconnected = True
    assert exchange.answer(200, b"content-length: 2\r\n", b"ok")
    assert wire.pieces == []


async def test_body_that_is_too_long_to_be_taken_at_once_stays() -> None:
    exchange = begun(Wire(), waits=True)
    exchange.give_body(b"all")
    assert exchange.take_whole_body(2) is None
    assert await exchange.receive() == {"type": "http.request", "body": b"all", "more_body": False}
