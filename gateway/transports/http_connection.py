"""One TCP connection while it speaks HTTP, with bounds on headers and on answers that are not taken."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from httptools import HttpParserError
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from gateway.metrics import REFUSED
from gateway.transports.caps import CapReached
from gateway.transports.connections import Drain, EdgeConfig, Idleness, Stall, refusal, take_place
from gateway.transports.exchange import Exchange, find_target
from gateway.transports.head import Head, Lessons

REFUSAL_WAIT_S = 1.0
"""A refused connection is answered when its request comes, so that the answer is not lost, or closed after this."""
FORWARDED = frozenset({b"x-forwarded-for", b"x-forwarded-proto"})
"""What uvicorn's middleware looks for; requests without them pass it by."""


class HTTPConnection(HttpToolsProtocol):
    """One TCP connection while it speaks HTTP."""

    config: EdgeConfig

    def __init__(self, config: EdgeConfig, *shared: Any, **options: Any) -> None:
        super().__init__(config, *shared, **options)
        self._limits = config.limits
        self._refusal: str | None = None
        self._drain: Drain | None = None
        self._in_headers = False
        self._in_message = False
        self._header_bytes = 0
        self._may_be_too_long = False
        self._begun = 0
        self._header_timer: asyncio.TimerHandle | None = None
        self._stall: Stall
        self._idleness = Idleness(self.loop, config.timeout_keep_alive)
        self._unanswered: deque[Exchange] = deque()
        self._lessons = Lessons()
        self._is_forwarded = self._is_upgrade = False
        self._give_back: Callable[[], None] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a place, or get ready to refuse."""
        super().connection_made(transport)
        self._stall = Stall(transport, self.loop, self._limits.stalled_write_s)
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
        for exchange in self._unanswered:  # uvicorn tells only the latest request of a pipeline.
            exchange.disconnected = True
            exchange.message_event.set()
        super().connection_lost(exc)

    def _leave(self) -> None:
        self._stop_header_timer()
        self._idleness.forget()
        self._stall.forget()
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
        usual = self._lessons.usual
        if usual is not None and usual.begins(data) and self._awaits_request():
            self._idleness.end()
            exchange = self._begin_exchange(usual.scope | {"state": {}}, usual.app, keep_alive=True)
            exchange.give_body(data[len(usual.head) :])
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
            if is_between and self._begun == begun + 1:
                self._learn(data)
            return
        begun_now = self._begun - begun
        if (was_in_headers and not begun_now) or (is_between and begun_now <= 1):  # Then all of it is headers.
            self._header_bytes += len(data)
        if self._header_bytes > self._limits.max_header_bytes:
            self._refuse_headers()
        elif self._header_timer is None:
            self._header_timer = self.loop.call_later(self._limits.header_timeout_s, self._on_header_timeout)

    def _awaits_request(self) -> bool:
        """Whether all before are answered and nothing of another has come: the parser, at its begin, may stay there."""
        is_idle = not self._in_message and self.cycle.response_complete and not self.pipeline
        return is_idle and self._header_timer is None

    def _learn(self, data: bytes) -> None:
        """Remember a request that came whole and by itself, as the next may have the same head."""
        exchange = self.cycle
        if not (self._in_message or self._is_upgrade or exchange.waiting_for_100_continue) and exchange.keep_alive:
            self._lessons.learn(data, exchange.scope, self._app())

    def _app(self) -> Any:
        return self.app if self._is_forwarded else self.config.edge

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
        self.url, self.headers, self.expect_100_continue = b"", [], False
        self._in_headers = self._in_message = True
        self._is_forwarded = self._is_upgrade = False
        self._header_bytes = 0
        self._begun += 1

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header."""
        name = name.lower()
        if name in FORWARDED:
            self._is_forwarded = True
        elif name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The headers have come whole. Raises HttpParserError, which ends the parsing, if they were refused."""
        self._in_headers = False
        if self._may_be_too_long and self._length_of_headers() > self._limits.max_header_bytes:
            self._refuse_headers()
            raise HttpParserError("headers too long")
        http_version = self.parser.get_http_version()
        method = self.parser.get_method().decode("ascii")
        path, raw_path, query = find_target(self.url)
        scope: Any = {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": http_version,
            "method": method,
            "scheme": self.scheme,
            "server": self.server,
            "client": self.client,
            "root_path": "",
            "path": path,
            "raw_path": raw_path,
            "query_string": query,
            "headers": self.headers,
            "head": Head(method, self.headers),
            "state": {},
        }
        self.scope = scope
        offers_upgrade = self.parser.should_upgrade()
        self._is_upgrade = offers_upgrade and self._should_upgrade()
        if not self._is_upgrade:
            # The parser leaves out the body of whoever offers another protocol, so that it would be the next request.
            keep_alive = http_version != "1.0" and not offers_upgrade and self.parser.should_keep_alive()
            self._begin_exchange(scope, self._app(), keep_alive=keep_alive)

    def _begin_exchange(self, scope: Any, app: Any, *, keep_alive: bool) -> Exchange:
        """Have the application answer, once it has answered those before; no more is read until then."""
        is_first = self.cycle is None or self.cycle.response_complete
        self.cycle = exchange = Exchange(
            scope,
            self.transport,
            self.flow,
            self.logger,
            self.access_logger,
            self.access_log,
            self.server_state.default_headers,
            asyncio.Event(),
            self.expect_100_continue,
            keep_alive,
            self.on_response_complete,
        )
        self._unanswered.append(exchange)
        if is_first:
            self._start_asgi_task(exchange, app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((exchange, app))
        return exchange

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Have the application answer, in a task that takes itself off the list: a callback would take another turn."""
        self.tasks.add(self.loop.create_task(self._answer(cycle, app)))

    async def _answer(self, cycle: RequestResponseCycle, app: Any) -> None:
        try:
            await cycle.run_asgi(app)
        finally:
            self.tasks.discard(asyncio.current_task())

    def _length_of_headers(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    def _refuse_headers(self) -> None:
        REFUSED.labels("header_bytes").inc()
        limit = self._limits.max_header_bytes
        self._refuse(431, "PAYLOAD_TOO_LARGE", f"Expected at most {limit:,} bytes of headers")

    def on_body(self, body: bytes) -> None:
        """Take a part of the body, unless the request is answered already."""
        if self._is_upgrade or self.cycle.response_complete:
            return
        self.cycle.body += body
        if len(self.cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        self.cycle.message_event.set()

    def on_message_complete(self) -> None:
        """The request has come whole."""
        if self._is_answered_early():
            self._stop_header_timer()
        self._in_message = False
        if not self._is_upgrade and not self.cycle.response_complete:
            self.cycle.more_body = False
            self.cycle.message_event.set()

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
        self.transport.write(refusal(status, code, message))
        self._stop_header_timer()
        if self.transport.get_write_buffer_size():  # Earlier answers stand in it too, and may never be taken.
            self._stall.watch()
        self._drain = Drain(self.transport, self.loop)

    def pause_writing(self) -> None:
        """Begin to watch a peer that takes its answer slowly."""
        super().pause_writing()
        self._stall.watch()

    def resume_writing(self) -> None:
        """The peer has taken nearly all; of a last answer it has to take the rest too."""
        super().resume_writing()
        if self._drain is None:
            self._stall.forget()

    def on_response_complete(self) -> None:
        """Go on with the next request, or await it.

        A last answer has to be taken too, and what is left of a body does not take for ever.
        """
        self._unanswered.popleft()
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            if self.transport.get_write_buffer_size():
                self._stall.watch()
            return
        self.flow.resume_reading()
        end = self.timeout_keep_alive_handler
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self._idleness.begin(end)
        if self._is_answered_early():  # The first byte of the rest ends the other wait.
            self._stop_header_timer()
            self._header_timer = self.loop.call_later(self._limits.header_timeout_s, end)

    def _unset_keepalive_if_required(self) -> None:
        """Something has come, so the connection is not idle; uvicorn calls this."""
        self._idleness.end()

    def timeout_keep_alive_handler(self) -> None:
        """End an idle connection, though its peer should not have read the last answer."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            super().timeout_keep_alive_handler()
