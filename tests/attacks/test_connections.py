"""Attacks on connections: many of them, slow ones, and ones that do not end."""

import asyncio
from contextlib import AsyncExitStack

from tests.attacks.attackers import INIT, connected, handshake, opened
from tests.attacks.target import FULL, Target, attacked

CONNECTIONS = 10_000 if FULL else 1_000
AT_ONCE = 50
PLACE_BYTES = 40_000
"""Of memory, for an open socket (30 KB measured). The allocator keeps most of it for the next ones."""
HEAD = b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
BIG_ANSWER = b'{"query":"{ __schema { types { name description fields { name description type { name } } } } }"}'


async def test_ten_thousand_sockets_leave_nothing_that_grows(target: Target) -> None:
    for margin in (CONNECTIONS * PLACE_BYTES, CONNECTIONS * PLACE_BYTES // 10):
        async with attacked(target, margin), AsyncExitStack() as stack:
            for _ in range(0, CONNECTIONS, AT_ONCE):
                await asyncio.gather(*(stack.enter_async_context(opened(target)) for _ in range(AT_ONCE)))
            assert (await target.gauges())["headway_open_sockets"] == CONNECTIONS


async def test_connections_that_say_nothing_are_closed(target: Target) -> None:
    async with attacked(target), AsyncExitStack() as stack:
        many = await asyncio.gather(*(stack.enter_async_context(connected(target)) for _ in range(500)))
        assert {await raw.read_status() for raw in many} == {408}
        await asyncio.gather(*(raw.read_end() for raw in many))


async def test_headers_that_come_drop_by_drop_are_given_up(target: Target) -> None:
    async with attacked(target), AsyncExitStack() as stack:
        many = [await stack.enter_async_context(connected(target)) for _ in range(100)]

        async def drip() -> None:
            for _ in range(100):
                for raw in many:
                    raw.send(b"X-Drop: 1\r\n")
                await asyncio.sleep(0.1)

        for raw in many:
            raw.send(HEAD)
        dripping = asyncio.create_task(drip())
        assert {await raw.read_status() for raw in many} == {408}
        dripping.cancel()


async def test_headers_without_end_are_refused(target: Target) -> None:
    async with attacked(target), connected(target) as raw:
        raw.send(HEAD)
        for number in range(400):
            raw.send(b"X-%d: %s\r\n" % (number, b"x" * 1_000))
        assert await raw.read_status() == 431


async def test_body_that_comes_drop_by_drop_is_given_up(target: Target) -> None:
    async with attacked(target), AsyncExitStack() as stack:
        many = [await stack.enter_async_context(connected(target)) for _ in range(100)]
        for raw in many:
            raw.send(HEAD + b"Content-Length: 1000000\r\n\r\n{")
        assert {await raw.read_status() for raw in many} == {408}


async def test_body_that_goes_on_drop_by_drop_after_an_early_answer_is_given_up(target: Target) -> None:
    head = HEAD.replace(b"application/json", b"text/plain") + b"Content-Length: 1000000\r\n\r\n"
    async with attacked(target), AsyncExitStack() as stack:
        many = [await stack.enter_async_context(connected(target)) for _ in range(100)]
        for raw in many:
            raw.send(head)
        assert {await raw.read_status() for raw in many} == {415}
        for _ in range(3):
            for raw in many:
                raw.send(b"x")
            await asyncio.sleep(0.1)
        await asyncio.gather(*(raw.read_end() for raw in many))


async def test_early_answer_leaves_a_connection_whose_body_comes_whole(target: Target) -> None:
    async with attacked(target), connected(target) as raw:
        raw.send(HEAD.replace(b"application/json", b"text/plain") + b"Content-Length: 2\r\n\r\n{")
        assert await raw.read_status() == 415
        await raw.reader.readuntil(b"}]}")
        query = b'{"query":"{ __typename }"}'
        raw.send(b"}" + HEAD + b"Content-Length: %d\r\n\r\n" % len(query) + query)
        assert await raw.read_status() == 200


async def test_reader_of_big_answers_who_does_not_read_is_dropped(target: Target) -> None:
    request = HEAD + b"Content-Length: %d\r\n\r\n" % len(BIG_ANSWER) + BIG_ANSWER
    async with attacked(target), AsyncExitStack() as stack:
        dropped = (await target.gauges()).get("headway_refused_total", 0)
        for _ in range(2):
            raw = await stack.enter_async_context(connected(target, reads=False))
            raw.send(request * 150)
        async with asyncio.timeout(40):
            while (await target.held()).get("connections", 0):  # noqa: ASYNC110  # Metrics have no event.
                await asyncio.sleep(0.2)
        assert (await target.gauges())["headway_refused_total"] >= dropped + 2


async def test_handshake_without_init_is_closed_4408(target: Target) -> None:
    async with attacked(target), AsyncExitStack() as stack:
        many = [await stack.enter_async_context(opened(target, init=False)) for _ in range(200)]
        assert {await raw.read_close() for raw in many} == {4408}


async def test_thousands_of_pipelined_requests_are_answered_in_turn(target: Target) -> None:
    body = b'{"query":"{ __typename }"}'
    request = HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body
    async with attacked(target), connected(target) as raw:
        raw.send(request * 2_000)
        for _ in range(2_000):
            assert await raw.read_status() == 200
            await raw.reader.readuntil(b"}}")


async def test_connections_opened_and_dropped_quickly_leave_nothing(target: Target) -> None:
    async with attacked(target):
        for _ in range(50 if FULL else 10):
            async with AsyncExitStack() as stack:
                many = await asyncio.gather(*(stack.enter_async_context(connected(target)) for _ in range(100)))
                for raw in many:
                    raw.send(handshake())
                    raw.frame(INIT)


async def test_compression_is_not_negotiated(target: Target) -> None:
    async with attacked(target), connected(target) as raw:
        raw.send(handshake(**{"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"}))
        async with asyncio.timeout(10):
            head = await raw.reader.readuntil(b"\r\n\r\n")
        assert b" 101 " in head
        assert b"permessage-deflate" not in head.lower()


async def test_handshake_with_hundreds_of_headers_is_refused(target: Target) -> None:
    async with attacked(target), connected(target) as raw:
        raw.send(handshake(**{f"X-{number}": "x" for number in range(500)}))
        assert 400 <= await raw.read_status() < 500
