"""One TCP connection while it speaks HTTP, with bounds on headers and on answers that are not taken."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

import orjson
from httptools import HttpParserError
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from gateway.metrics import REFUSED
from gateway.transports.answer import AnswerTransport
from gateway.transports.caps import RETRY_AFTER_S, CapReached
from gateway.transports.connections import Drain, EdgeConfig, take_place

REFUSAL_WAIT_S = 1.0
"""A refused connection is answered when its request comes, so that the answer is not lost, or closed after this."""
REASONS = {
    400: "Bad Request",
    408: "Request Timeout",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
}


class HTTPConnection(HttpToolsProtocol):
    """One TCP connection while it speaks HTTP."""

    config: EdgeConfig

    def __init__(
        self,
        config: EdgeConfig,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._limits = config.limits
        self._refusal: str | None = None
        self._drain: Drain | None = None
        self._in_headers = False
        self._in_message = False
        self._header_bytes = 0
        self._may_be_too_long = False
        self._begun = 0
        self._header_timer: asyncio.TimerHandle | None = None
        self._stall_timer: asyncio.TimerHandle | None = None
        self._unanswered: deque[tuple[RequestResponseCycle, AnswerTransport]] = deque()
        self._give_back: Callable[[], None] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a place, or get ready to refuse."""
        super().connection_made(transport)
        try:
            self._give_back = take_place(self.client, len(self.connections) - 1, self.config)
        except CapReached as exc:
            self._refusal = str(exc)
            self.connections.discard(self)
            self._header_timer = self.loop.call_later(REFUSAL_WAIT_S, transport.close)
            return
        self._header_timer = self.loop.call_later(self._limits.header_timeout_s, self._on_header_timeout)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back."""
        self._leave()
        for cycle, _ in self._unanswered:  # uvicorn tells only the latest request of a pipeline.
            cycle.disconnected = True
            cycle.message_event.set()
        super().connection_lost(exc)

    def _leave(self) -> None:
        for timer in (self._header_timer, self._stall_timer):
            if timer is not None:
                timer.cancel()
        self._header_timer = self._stall_timer = None
        if self._drain is not None:
            self._drain.end()
        if self._give_back is not None:
            self._give_back()
            self._give_back = None

    def data_received(self, data: bytes) -> None:
        """Parse what came, with an eye on headers that do not end."""
        if self._drain is not None:
            self._drain.take(data)
            return
        if self._refusal is not None:
            self._refuse(429, "RATE_LIMITED", self._refusal)
            return
        was_in_headers, is_between, begun = self._in_headers, not self._in_message, self._begun
        self._may_be_too_long = self._header_bytes + len(data) > self._limits.max_header_bytes
        super().data_received(data)
        if self.transport.get_protocol() is not self or self._drain is not None:
            return  # It speaks WebSocket now, or was refused.
        if self._is_answered_early():
            return
        if not self._awaits_headers():
            self._stop_header_timer()
            return
        begun_now = self._begun - begun
        if (was_in_headers and not begun_now) or (is_between and begun_now <= 1):  # Then all of it is headers.
            self._header_bytes += len(data)
        if self._header_bytes > self._limits.max_header_bytes:
            self._refuse_headers()
        elif self._header_timer is None:
            self._header_timer = self.loop.call_later(self._limits.header_timeout_s, self._on_header_timeout)

    def _awaits_headers(self) -> bool:
        """Whether a request has begun or has to: empty lines between two are neither, but ended uvicorn's own wait."""
        is_idle = self.cycle is None or self.cycle.response_complete
        return self._in_headers or (is_idle and not self._in_message)

    def _is_answered_early(self) -> bool:
        """Whether a request was answered whose body is still to come; then the wait for the rest has a timer."""
        is_answered = self.cycle is not None and self.cycle.response_complete
        return is_answered and self._in_message and not self._in_headers

    def _stop_header_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def on_message_begin(self) -> None:
        """Begin to watch a request's headers."""
        super().on_message_begin()
        self._in_headers = self._in_message = True
        self._header_bytes = 0
        self._begun += 1

    def on_headers_complete(self) -> None:
        """The headers have come whole. Raises HttpParserError, which ends the parsing, if they were refused."""
        self._in_headers = False
        if self._may_be_too_long and self._length_of_headers() > self._limits.max_header_bytes:
            self._refuse_headers()
            raise HttpParserError("headers too long")
        latest = self.cycle
        super().on_headers_complete()
        if self.cycle is not latest:
            self.cycle.transport = answer = AnswerTransport(self.transport, self.loop)
            self._unanswered.append((self.cycle, answer))

    def _length_of_headers(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    def _refuse_headers(self) -> None:
        REFUSED.labels("header_bytes").inc()
        limit = self._limits.max_header_bytes
        self._refuse(431, "PAYLOAD_TOO_LARGE", f"Expected at most {limit:,} bytes of headers")

    def on_message_complete(self) -> None:
        """The request has come whole."""
        if self._is_answered_early():
            self._stop_header_timer()
        self._in_message = False
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection on, which takes a place of its own."""
        self._leave()
        super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP in the form of all other refusals."""
        self._refuse(400, "BAD_REQUEST", msg)

    def _on_header_timeout(self) -> None:
        self._header_timer = None
        if self.flow.read_paused:  # We are the ones who are late: earlier requests of a pipeline come first.
            self._header_timer = self.loop.call_later(self._limits.header_timeout_s, self._on_header_timeout)
            return
        REFUSED.labels("header_timeout").inc()
        expected = f"Expected a request's headers within {self._limits.header_timeout_s:g} s"
        self._refuse(408, "REQUEST_TIMEOUT", expected)

    def _refuse(self, status: int, code: str, message: str) -> None:
        if self.transport.is_closing() or self._drain is not None:
            return
        if self.cycle is not None and not self.cycle.response_complete:
            self.transport.close()
            return
        self.transport.write(_refusal(status, code, message))
        self._stop_header_timer()
        self._drain = Drain(self.transport, self.loop)

    def pause_writing(self) -> None:
        """Begin to watch a peer that takes its answer slowly."""
        super().pause_writing()
        self._watch_writing()

    def resume_writing(self) -> None:
        """The peer has taken nearly all."""
        super().resume_writing()
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    def on_response_complete(self) -> None:
        """See to it that a last answer is taken too, and that what is left of a body does not take for ever.

        The first byte of such a rest ends uvicorn's own wait.
        """
        _, answer = self._unanswered.popleft()
        answer.flush()
        super().on_response_complete()
        if self._is_answered_early() and not self.transport.is_closing():
            self._stop_header_timer()
            within_s = self._limits.header_timeout_s
            self._header_timer = self.loop.call_later(within_s, self.timeout_keep_alive_handler)
        if self.transport.is_closing() and self.transport.get_write_buffer_size() and self._stall_timer is None:
            self._watch_writing()

    def timeout_keep_alive_handler(self) -> None:
        """End an idle connection, though its peer should not have read the last answer."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            super().timeout_keep_alive_handler()

    def _watch_writing(self) -> None:
        left = self.transport.get_write_buffer_size()
        self._stall_timer = self.loop.call_later(self._limits.stalled_write_s, self._check_writing, left)

    def _check_writing(self, before: int) -> None:
        self._stall_timer = None
        if self.transport.get_write_buffer_size() < before:
            self._watch_writing()
            return
        REFUSED.labels("stalled_write").inc()
        self.transport.abort()


def _refusal(status: int, code: str, message: str) -> bytes:
    body = orjson.dumps({"errors": [{"message": message, "extensions": {"code": code}}]})
    retry = f"retry-after: {RETRY_AFTER_S}\r\n" if status == 429 else ""
    head = (
        f"HTTP/1.1 {status} {REASONS[status]}\r\ncontent-type: application/json; charset=utf-8\r\n"
        f"content-length: {len(body)}\r\ncache-control: no-store\r\n{retry}connection: close\r\n\r\n"
    )
    return head.encode() + body
