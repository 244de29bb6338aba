"""One TCP connection once it speaks WebSocket: what it sends is parsed in slices, what it does not read is dropped."""

import asyncio
from collections.abc import Callable
from functools import lru_cache
from struct import Struct
from typing import Any

from starlette.types import Message
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import Frame
from websockets.http11 import Request

from core.telemetry import get_logger
from gateway.transports.connections import Drain, EdgeConfig, take_place
from gateway.waiting import Gate, Inbox

PUSH = "headway.push"
"""Under this name a scope's extensions hold a function, as `text`, that writes a text message or returns False."""
TEXT = 0x81
_HEAD_16, _HEAD_64 = Struct("!BBH").pack, Struct("!BBQ").pack
CLOSE_TIMEOUT_S = 10.0
SLICE_BYTES = 8_192
"""Parsed at a time of what comes: 1,365 empty pings, which take 12 ms (measured 2026-11-24)."""
MAX_FRAGMENTS = 1_024
AT_ONCE_BYTES = 65_536
"""So much is written before the turn ends: the transport then says whether the peer reads."""
log = get_logger(__name__)


@lru_cache(maxsize=1)
def text_frame(text: bytes) -> bytes:
    """Return the frame of a text message; many connections in turn are sent the same, and then hold the same bytes."""
    size = len(text)
    if size < 126:
        return bytes((TEXT, size)) + text
    if size < 65_536:
        return _HEAD_16(TEXT, 126, size) + text
    return _HEAD_64(TEXT, 127, size) + text


def _write_all(unwritten: "list[WebSocketConnection]") -> None:
    """Write what was pushed in this turn of the loop."""
    connections = unwritten[:]
    unwritten.clear()
    for connection in connections:
        try:
            connection._flush()
        except Exception:  # The supervisor of a turn: a connection that can't be written to must not hold up the next.
            log.exception("A connection could not be written to")
            connection.transport.abort()


class WebSocketConnection(WebSocketsSansIOProtocol):
    """One TCP connection once it speaks WebSocket.

    Its slots are for what uvicorn sets, too: a dict of so many attributes would take 1,600 bytes.
    """

    __slots__ = (
        *("app", "app_state", "asgi_version", "client", "close_sent", "close_timeout", "close_timer", "config", "conn"),
        *("connections", "curr_msg_data_type", "default_headers", "disconnected", "frames", "handshake_complete"),
        *("handshake_initiated", "initial_response", "last_ping_rtt", "logger", "loop", "pending_ping_payload"),
        *("ping_interval", "ping_sent_at", "ping_timeout", "ping_timer", "pong_timer", "queue", "read_paused"),
        *("request", "response", "root_path", "scheme", "scope", "server", "tasks", "transport", "writable"),
        *("_drain", "_give_back", "_last_chance", "_rest", "_unwritten", "gate"),
    )
    config: EdgeConfig

    def __init__(
        self,
        config: EdgeConfig,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.queue = Inbox()  # type: ignore[assignment]  # It is what uvicorn uses of a queue.
        self.gate = Gate()
        self.gate.set()
        self.writable = self.gate  # type: ignore[assignment]  # The same of an event.
        self._unwritten = b""
        """What was pushed in this turn of the loop."""
        self._give_back: Callable[[], None] | None = None
        self._rest = bytearray()
        self._drain: Drain | None = None
        self._last_chance: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the place that the HTTP side has just left."""
        super().connection_made(transport)
        self._give_back = take_place(self.client, 0, self.config)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back."""
        self._rest.clear()
        if self._drain is not None:
            self._drain.end()
        if self._last_chance is not None:
            self._last_chance.cancel()
        if self._give_back is not None:
            self._give_back()
            self._give_back = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came in slices, and read no more meanwhile."""
        if self._drain is not None:
            self._drain.take(data)
            return
        if not self.handshake_initiated:
            self._shake_hands(data)
            return
        if not self._rest and len(data) <= SLICE_BYTES:
            super().data_received(data)
            return
        self.transport.pause_reading()
        is_under_way = bool(self._rest)
        self._rest += data
        if not is_under_way:
            self._parse_slice()

    def handle_connect(self, event: Request) -> None:
        """Have the application told, in its scope, how to write what does not have to wait."""
        super().handle_connect(event)
        if not self.close_sent:
            self.scope["extensions"][PUSH] = {"text": self._push}

    def _push(self, text: bytes) -> bool:
        """Write a message within this turn of the loop; return False if it has to wait for the peer, or is too late.

        It writes what `send` would: one unmasked frame (RFC 6455 §5.2), as this side agrees to no extension. Messages
        of one turn are written together: the system's call takes longer than all the rest.
        """
        if self.close_sent or not (self.handshake_complete and self.gate.is_open) or self.transport.is_closing():
            return False
        frame = text_frame(text)
        if self._unwritten:
            frame = self._unwritten = self._unwritten + frame
        else:
            self._unwritten = frame
            unwritten = self.config.unwritten
            if not unwritten:
                self.loop.call_soon(_write_all, unwritten)
            unwritten.append(self)
        if len(frame) > AT_ONCE_BYTES:
            self._flush()
        return True

    def _flush(self) -> None:
        """Write what was pushed, if the connection still takes it."""
        text, self._unwritten = self._unwritten, b""
        if text and not self.close_sent and not self.transport.is_closing():
            self.transport.write(text)

    async def send(self, message: Any) -> None:
        """Send a message behind what was pushed."""
        if self._unwritten:
            self._flush()
        await super().send(message)
        if message["type"] == "websocket.accept" and self.handshake_complete:
            self.request.headers.clear()  # The parser holds on to the request.
            del self.request, self.response

    def _shake_hands(self, data: bytes) -> None:
        """Parse the request, which comes whole. uvicorn would leave one with too many headers unanswered."""
        super().data_received(data)
        if not self.handshake_initiated:
            self.handshake_complete = self.close_sent = True
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.transport.close()

    def _parse_slice(self) -> None:
        if self.transport.is_closing():
            self._rest.clear()
            return
        piece = bytes(self._rest[:SLICE_BYTES])
        del self._rest[:SLICE_BYTES]
        super().data_received(piece)
        if self._rest:
            self.loop.call_soon(self._parse_slice)
        elif not self.read_paused and not self.transport.is_closing():
            self.transport.resume_reading()

    async def receive(self) -> Any:
        """Return the next message; uvicorn reads on when it has none left, which has to wait for the slices."""
        message: Message = await super().receive()  # type: ignore[assignment]
        if self._rest and not self.transport.is_closing():
            self.transport.pause_reading()
        return message

    def handle_ping(self) -> None:
        """Answer, unless the peer does not read its answers."""
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.conn.data_to_send()

    def handle_cont(self, event: Frame) -> None:
        """Take a fragment, unless there are too many of them: empty ones count towards no other limit."""
        super().handle_cont(event)
        if len(self.frames) > MAX_FRAGMENTS and not self.close_sent:
            self.frames = []
            self.conn.fail(1009, f"Expected at most {MAX_FRAGMENTS:,} fragments")
            self.handle_parser_exception()

    def send_receive_event_to_app(self) -> None:
        """Hand on a message; for one that is no UTF-8, uvicorn would write a traceback into the log."""
        if self.curr_msg_data_type == "text" and not self.close_sent:
            self.frames = [b"".join(self.frames)]
            try:
                self.frames[0].decode()
            except UnicodeDecodeError:
                self.frames = []
                self.conn.fail(1007, "Expected text in UTF-8")
                self.handle_parser_exception()
                return
        super().send_receive_event_to_app()

    def handle_parser_exception(self) -> None:
        """Say why the socket closes. The application hears of it when the connection is lost."""
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = self.disconnected = True
        self.stop_keepalive()
        self._rest.clear()
        self._drain = Drain(self.transport, self.loop)

    def keepalive_timeout(self) -> None:
        """Drop the connection of a peer that answered no ping. To who still sends it is lost at once."""
        super().keepalive_timeout()
        self.disconnected = True
        self._drop_unread()

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        """Give the peer of a socket that this side ended a moment to read the rest: uvicorn would wait for ever."""
        super().on_task_complete(task)
        if self._give_back is not None:  # Otherwise the connection is lost already, and a timer would only hold memory.
            self._last_chance = self.loop.call_later(CLOSE_TIMEOUT_S, self._drop_unread)

    def _drop_unread(self) -> None:
        if self.transport.get_write_buffer_size() > 0:
            self.transport.abort()
