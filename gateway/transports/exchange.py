"""One request and its answer on an HTTP connection: uvicorn's cycle of the two, with as little work as that takes.

A head waits for the first bytes of its body, as ASGI asks: a replica that died in between left a proxy with a head that
it had passed on already, so that no other replica could be asked. So a small answer comes whole or not at all.
"""

from collections.abc import Sequence
from functools import lru_cache
from http import HTTPStatus
from math import inf
from typing import Any
from urllib.parse import unquote

from httptools import parse_url
from starlette.types import Message
from uvicorn.protocols.http.httptools_impl import HEADER_RE, STATUS_LINE, RequestResponseCycle

USUAL_CHARS = 300
"""Of a request's target: what the same few come to again and again is kept."""
CONTROLS = bytes({*range(32), 127} - {9})
"""Must not stand in a header: who sends a line's end there adds headers of his own."""
BODILESS = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})


class Exchange(RequestResponseCycle):
    """A request, as far as it has come, and its answer, as far as it was given."""

    _head = b""
    _is_taken = False

    def give_body(self, body: bytes) -> None:
        """Note that the request has come with all of its body, before anybody asks for it."""
        self.body += body
        self.more_body = self.waiting_for_100_continue = False

    def take_whole_body(self, most: float = inf) -> bytes | None:
        """Return the body if all of it has come and nobody took any of it, without a wait; the rest is a disconnect.

        None, and nothing taken, also where it has more than `most` bytes.
        """
        if self.more_body or self._is_taken or self.disconnected or self.response_complete or len(self.body) > most:
            return None
        self._is_taken = True
        self.message_event.clear()
        body, self.body = bytes(self.body), bytearray()
        return body

    async def receive(self) -> Any:
        """Return what has come of the body since, or wait for more; after the end, for the disconnect."""
        whole = self.take_whole_body()
        if whole is not None:
            return {"type": "http.request", "body": whole, "more_body": False}
        message: Any = await super().receive()
        self._is_taken = self._is_taken or not message.get("more_body", False)
        return message

    async def send(self, message: Any) -> None:
        """Give a part of the answer, once the peer has taken most of what was given before."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        kind = message["type"]
        if not self.response_started:
            _expect(kind, "http.response.start")
            self._begin(message)
        elif not self.response_complete:
            _expect(kind, "http.response.body")
            self._go_on(message.get("body", b""), message.get("more_body", False))
        else:
            raise RuntimeError(f"Expected nothing after the answer's end, got {kind}")

    def answer(self, status: int, lines: bytes, body: bytes) -> bool:
        """Give the whole answer at once; `lines` of its head are fit to stand there, and say the body's length.

        False, and nothing given, where that is for `send`, which waits for a peer to take what was given before.
        """
        if self.flow.write_paused or self.response_started or self.scope["method"] == "HEAD":
            return False
        if not self.disconnected:
            self.response_started, self.waiting_for_100_continue = True, False
            end = b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n"
            usual = _usual_lines(tuple(self.default_headers))
            self.transport.write(b"".join((STATUS_LINE[status], usual, lines, end, body)))
            self._end()
        return True

    def _end(self) -> None:
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()

    def _begin(self, message: Message) -> None:
        status, headers = message["status"], [*self.default_headers, *message.get("headers", ())]
        lines = _lines(headers)
        fields = dict(headers)
        length = fields.get(b"content-length")
        if b"chunked" in fields.get(b"transfer-encoding", b"").lower():
            self.chunked_encoding = True
        elif length is not None:
            self.expected_content_length, self.chunked_encoding = int(length), False
        elif self.scope["method"] != "HEAD" and status not in BODILESS:
            self.chunked_encoding = True
            lines.append(b"transfer-encoding: chunked")
        if b"close" in fields.get(b"connection", b"").lower():
            self.keep_alive = False
        elif not self.keep_alive:
            lines.append(b"connection: close")
        self._head = STATUS_LINE[status] + b"\r\n".join([*lines, b"", b""])
        self.response_started, self.waiting_for_100_continue = True, False

    def _go_on(self, body: bytes, more_body: bool) -> None:
        if self.scope["method"] == "HEAD":
            self.expected_content_length, body = 0, b""
        elif self.chunked_encoding:
            body = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            body += b"" if more_body else b"0\r\n\r\n"
        elif len(body) > self.expected_content_length:
            raise RuntimeError("Response content longer than Content-Length")
        else:
            self.expected_content_length -= len(body)
        if not more_body and self.expected_content_length:
            raise RuntimeError("Response content shorter than Content-Length")
        self.transport.write(self._head + body)
        self._head = b""
        if not more_body:
            self._end()


@lru_cache(maxsize=4)
def _usual_lines(headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """Return the headers of all answers as they are written: the date, which is another one each second."""
    return b"".join(line + b"\r\n" for line in _lines(headers))


def _lines(headers: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
    """Return headers as they are written. Raises RuntimeError for one that could be read as another."""
    lines = [b": ".join(header) for header in headers]
    text = b"".join(lines)
    if len(text.translate(None, CONTROLS)) < len(text) or not _are_names(tuple([name for name, _ in headers])):
        raise RuntimeError("Expected headers whose names and values fit into their lines")
    return lines


@lru_cache(maxsize=256)
def _are_names(names: tuple[bytes, ...]) -> bool:
    """Whether these are fit as names of headers; answers have the same few again and again."""
    return HEADER_RE.search(b"".join(names)) is None


def _expect(kind: str, expected: str) -> None:
    if kind != expected:
        raise RuntimeError(f"Expected the ASGI message {expected}, got {kind}")


def find_target(url: bytes) -> tuple[str, bytes, bytes]:
    """Return the path, the same as it came, and the query. Raises HttpParserError."""
    return _find_target(url) if len(url) > USUAL_CHARS else _find_usual_target(url)


def _find_target(url: bytes) -> tuple[str, bytes, bytes]:
    parsed = parse_url(url)
    path = parsed.path.decode("ascii")
    return unquote(path) if "%" in path else path, parsed.path, parsed.query or b""


_find_usual_target = lru_cache(maxsize=256)(_find_target)
