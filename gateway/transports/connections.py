"""The TCP connections of this replica: uvicorn's two protocols are given what they lack against a hostile peer.

| a peer that                                     | meets                                                          |
|-------------------------------------------------|----------------------------------------------------------------|
| opens more connections than a cap allows        | 429, before a byte of its request is parsed                    |
| sends no request, or its headers drop by drop   | 408 after `header_timeout_s`                                   |
| sends headers without end                       | 431 after `max_header_bytes`                                   |
| does not read its answer                        | the end of the connection after `stalled_write_s`, or pings    |
| sends frames faster than they can be parsed     | slices: other connections have their turn after each           |
| sends a message in more than MAX_FRAGMENTS      | 1009                                                           |
| sends pings and does not read the pongs         | no pongs                                                       |
"""

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
import uvicorn

from gateway.metrics import CONNECTIONS, REFUSED
from gateway.transports.caps import RETRY_AFTER_S, CapReached, Caps
from gateway.transports.limits import EdgeLimits

DRAINED_BYTES = 4_194_304
DRAIN_TIMEOUT_S = 1.0
REASONS = {
    400: "Bad Request",
    408: "Request Timeout",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
}


class EdgeConfig(uvicorn.Config):
    """uvicorn's configuration, which carries our limits and caps to each connection.

    `edge` is the application without uvicorn's layer for proxies, which does nothing but take a client's address and
    scheme from the headers FORWARDED: a request that has none of them may go past it.
    """

    def __init__(self, app: Any, limits: EdgeLimits, caps: Caps, **options: Any) -> None:
        super().__init__(app, **options)
        self.edge = app
        self.limits = limits
        self.caps = caps
        self.unwritten: list[Any] = []
        """The WebSocket connections to which something was pushed in this turn of the server's loop."""


class Drain:
    """The end of a connection whose peer was told why: what still comes is thrown away, so much and so long.

    A connection closed with something unread is reset, and the peer might never hear the reason.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._left = DRAINED_BYTES
        self._timer = loop.call_later(DRAIN_TIMEOUT_S, transport.close)
        if not transport.is_closing():
            if transport.can_write_eof():
                transport.write_eof()
            transport.resume_reading()

    def take(self, data: bytes) -> None:
        """Throw away what came, and close the connection when it is too much."""
        self._left -= len(data)
        if self._left < 0:
            self._transport.close()

    def end(self) -> None:
        """Take note that the connection is lost."""
        self._timer.cancel()


class Idleness:
    """The end of a connection on which nothing has run for `after_s` seconds.

    One timer looks at it now and then: one that each request stopped and set again would cost more than its parsing.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, after_s: float) -> None:
        self._loop = loop
        self._after_s = after_s
        self._since: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, end: Callable[[], None]) -> None:
        """Note that nothing runs from here on, and how the connection is ended."""
        self._since = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_later(self._after_s, self._look, end)

    def end(self) -> None:
        """Note that something has come."""
        self._since = None

    def forget(self) -> None:
        """The connection has gone, or is another protocol's."""
        self._since = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self, end: Callable[[], None]) -> None:
        self._timer = None
        if self._since is None:
            return  # Whatever runs begins the next wait, and with it a timer.
        left_s = self._since + self._after_s - self._loop.time()
        if left_s > 0:
            self._timer = self._loop.call_later(left_s, self._look, end)
        else:
            end()


class Stall:
    """The end of a connection whose peer takes nothing of what is written to it for `after_s` seconds."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, after_s: float) -> None:
        self._transport = transport
        self._loop = loop
        self._after_s = after_s
        self._timer: asyncio.TimerHandle | None = None

    def watch(self) -> None:
        """Look from here on whether anything is taken, unless that is done already."""
        if self._timer is None:
            self._timer = self._loop.call_later(self._after_s, self._look, self._transport.get_write_buffer_size())

    def forget(self) -> None:
        """Nearly all was taken, or the connection is lost."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self, before: int) -> None:
        self._timer = None
        left = self._transport.get_write_buffer_size()
        if 0 < left < before:
            self.watch()
        elif left:
            REFUSED.labels("stalled_write").inc()
            self._transport.abort()


def take_place(peer: tuple[str, int] | None, others: int, config: EdgeConfig) -> Callable[[], None]:
    """Count a connection beside so many `others`, and return what uncounts it. Raises CapReached."""
    caps, address = config.caps, peer[0] if peer else ""
    if others >= config.limits.connections:
        REFUSED.labels("connections").inc()
        raise CapReached(f"Expected at most {config.limits.connections:,} connections at a time")
    if not caps.is_proxy(address):
        caps.connections.take(address)
    CONNECTIONS.inc()

    def give_back() -> None:
        CONNECTIONS.dec()
        if not caps.is_proxy(address):
            caps.connections.give_back(address)

    return give_back


def refusal(status: int, code: str, message: str) -> bytes:
    """Return what a connection is told that gets no further, as an answer that closes it."""
    body = orjson.dumps({"errors": [{"message": message, "extensions": {"code": code}}]})
    retry = f"retry-after: {RETRY_AFTER_S}\r\n" if status == 429 else ""
    head = (
        f"HTTP/1.1 {status} {REASONS[status]}\r\ncontent-type: application/json; charset=utf-8\r\n"
        f"content-length: {len(body)}\r\ncache-control: no-store\r\n{retry}connection: close\r\n\r\n"
    )
    return head.encode() + body
