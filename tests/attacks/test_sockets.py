"""Attacks over WebSocket: floods, malformed frames, and more operations than one socket may have."""

import asyncio
from contextlib import AsyncExitStack, suppress
from pathlib import Path

from websockets.frames import Opcode

from core.ids import new_id
from core.settings import Settings
from tests.attacks.attackers import INIT, connected, frame, handshake, opened, subscribe
from tests.attacks.target import FULL, Target, attacked, running_target

FLOOD_BYTES = (20 if FULL else 1) * 1024**2
"""Over each socket."""
PARSED_WITHIN_S = 300.0 if FULL else 45.0
"""From the last byte of a flood on: the system's buffers hold megabytes that a busy machine has not parsed."""
BOARD = "subscription { tasksChanged { id } }"


async def flood(target: Target, piece: bytes, total: int = FLOOD_BYTES) -> None:
    """Send the same bytes over several sockets, as fast as they are taken."""
    async with AsyncExitStack() as stack:
        many = [await stack.enter_async_context(opened(target)) for _ in range(4)]
        for _ in range(0, total, len(piece)):
            for raw in many:
                raw.send(piece)
                await raw.writer.drain()
        for raw in many:
            raw.frame("", Opcode.CLOSE)
        await asyncio.gather(*(raw.read_close(PARSED_WITHIN_S) for raw in many))


async def test_flood_of_pings_stalls_nobody(target: Target) -> None:
    async with attacked(target):
        await flood(target, frame(b"", Opcode.PING) * 10_000)


async def test_flood_of_messages_stalls_nobody(target: Target) -> None:
    async with attacked(target):
        await flood(target, frame('{"type":"pong"}') * 5_000)


async def test_flood_of_operations_that_fail_stalls_nobody(target: Target) -> None:
    async with attacked(target):
        await flood(
            target, b"".join(frame(subscribe(str(number), "{ nothing }")) for number in range(500)), FLOOD_BYTES // 20
        )


async def test_sender_of_pings_who_does_not_read_costs_no_memory(target: Target) -> None:
    async with attacked(target):
        memory = target.memory
        async with connected(target, reads=False) as raw:
            raw.writer.transport.resume_reading()  # type: ignore[attr-defined]
            raw.send(handshake())
            assert await raw.read_status() == 101
            raw.frame(INIT)
            raw.writer.transport.pause_reading()  # type: ignore[attr-defined]
            pings = frame(b"x" * 125, Opcode.PING) * 500
            for _ in range(400 if FULL else 100):
                raw.send(pings)
                await raw.writer.drain()
            assert target.memory - memory < 16 * 1024**2


async def test_message_of_a_thousand_empty_fragments_and_more_is_refused(target: Target) -> None:
    async with attacked(target), opened(target) as raw:
        raw.frame("", fin=False)
        raw.send(frame("", Opcode.CONT, fin=False) * 5_000)
        assert await raw.read_close() == 1009


async def test_fragments_that_are_too_much_together_are_refused(target: Target) -> None:
    async with attacked(target), opened(target) as raw:
        raw.frame("x" * 60_000, fin=False)
        for _ in range(10):
            raw.frame("x" * 60_000, Opcode.CONT, fin=False)
        assert await raw.read_close() == 1009


async def test_sender_of_a_message_that_is_too_large_is_told_so(target: Target) -> None:
    async with attacked(target):
        for size in (262_145, 2_000_000):
            async with opened(target) as raw:
                raw.frame("x" * size)
                raw.frame('{"type":"ping"}')
                assert await raw.read_close() == 1009


async def test_sender_who_does_not_stop_after_a_message_that_is_too_large_is_cut_off(target: Target) -> None:
    async with attacked(target), opened(target) as raw:
        raw.frame("x" * 300_000)
        async with asyncio.timeout(20):
            with suppress(ConnectionError):
                while not raw.writer.is_closing():
                    raw.send(b"x" * 65_536)
                    await raw.writer.drain()
                    await asyncio.sleep(0)
        await raw.read_end()


async def test_violation_that_comes_with_a_message_breaks_nothing(target: Target) -> None:
    async with attacked(target):
        for _ in range(20):
            async with opened(target, init=False) as raw:
                raw.send(frame(INIT) + b"\x83\x80\0\0\0\0")
                assert await raw.read_close() == 1002


async def test_silent_peer_who_broke_the_protocol_is_left(target: Target) -> None:
    async with attacked(target), opened(target) as raw:
        raw.send(b"\x83\x80\0\0\0\0")
        assert await raw.read_close() == 1002
        async with asyncio.timeout(10):
            while (await target.held()).get("connections", 0):  # noqa: ASYNC110  # Metrics have no event.
                await asyncio.sleep(0.1)


async def test_text_that_is_no_utf8_is_refused(target: Target) -> None:
    async with attacked(target), opened(target) as raw:
        raw.frame(b'{"type":"ping","payload":{"x":"\xff"}}')
        assert await raw.read_close() == 1007


async def test_frame_with_reserved_bits_or_no_mask_is_refused(target: Target) -> None:
    async with attacked(target):
        for bad in (b"\xf1\x80\0\0\0\0", b"\x81\x02hi", b"\x83\x80\0\0\0\0", b"\x09\x80\0\0\0\0"):
            async with opened(target) as raw:
                raw.send(bad)
                assert await raw.read_close() == 1002


async def test_bomb_of_compressed_data_is_not_unpacked(target: Target) -> None:
    async with attacked(target), opened(target) as raw:
        raw.send(b"\xc1" + frame("x" * 1_000)[1:])
        assert await raw.read_close() == 1002


async def test_json_nested_a_hundred_thousand_times_closes_the_socket(target: Target) -> None:
    async with attacked(target), opened(target) as raw:
        nested = '{"x":' * 40_000 + "0" + "}" * 40_000
        raw.frame(f'{{"id":"1","type":"subscribe","payload":{{"query":"{{ __typename }}","variables":{nested}}}}}')
        assert await raw.read_close() == 4400


async def test_thousand_subscriptions_on_one_socket_end_at_the_limit(target: Target) -> None:
    async with attacked(target), opened(target) as raw:
        for number in range(1_000):
            raw.frame(subscribe(str(number), BOARD))
        refused = 0
        async with asyncio.timeout(30):
            while refused < 950:
                refused += (await raw.reader.read(65_536)).count(b"RATE_LIMITED")
        assert (await target.gauges())["headway_running_operations"] == 50


async def test_operations_that_are_cancelled_at_once_leave_nothing(target: Target) -> None:
    query = f'subscription {{ taskProgress(id: "{new_id()}") {{ id }} }}'
    async with attacked(target), opened(target) as raw:
        for number in range(500):
            raw.frame(subscribe(str(number), BOARD if number % 2 else query))
            raw.frame(f'{{"id":"{number}","type":"complete"}}')
        raw.frame('{"type":"ping"}')
        async with asyncio.timeout(60):
            await raw.reader.readuntil(b'"pong"')


async def test_reader_of_a_board_who_does_not_read_is_dropped(settings: Settings, tmp_path: Path) -> None:
    pings = {"HEADWAY_PING_INTERVAL_S": "1", "HEADWAY_PING_TIMEOUT_S": "1"}
    with running_target(settings, tmp_path, **pings) as target:
        async with attacked(target), opened(target) as raw:
            raw.writer.transport.pause_reading()  # type: ignore[attr-defined]
            raw.frame(subscribe("1", BOARD))
            async with asyncio.timeout(20):
                while await target.held():  # noqa: ASYNC110  # Metrics have no event.
                    await asyncio.sleep(0.1)
