"""An HTTP client that costs little: connections that each send their request again as soon as it is answered.

It reads an answer once: another one of the same length is whole as soon as so much has come, and only looked at for a
refusal or an error.
"""

import math
import select
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

CONNECTIONS = 32
ANSWER_WITHIN_S = 10.0
PIECE_BYTES = 65_536
END_OF_HEAD = b"\r\n\r\n"
OK = b"HTTP/1.1 200"
ERRORS = b'"errors":'
LENGTH = b"content-length:"
LAST_CHUNK = b"\r\n0\r\n\r\n"


class NoAnswer(Exception):
    """A server did not answer as it should; the message says how."""


@dataclass(frozen=True)
class Asked:
    """How many requests were answered, and how long that took."""

    answers: int
    seconds: float


class Clients:
    """Open connections to one server, each with the next of the requests. Use it as a context."""

    def __init__(self, port: int, requests: Sequence[bytes], connections: int = CONNECTIONS) -> None:
        self._requests: dict[int, bytes] = {}
        self._poll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self._heard: dict[int, bytes] = {}
        self._usual = 0
        for index in range(connections):
            one = socket.create_connection(("127.0.0.1", port), timeout=ANSWER_WITHIN_S)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            one.setblocking(False)  # With a time limit, Python asks the system once more before each call.
            self._sockets[one.fileno()] = one
            self._requests[one.fileno()] = requests[index % len(requests)]
            self._poll.register(one.fileno(), select.EPOLLIN)

    def __enter__(self) -> "Clients":
        return self

    def __exit__(self, *_: object) -> None:
        for one in self._sockets.values():
            one.close()
        self._poll.close()

    def ask(self, seconds: float = math.inf, count: float = math.inf) -> Asked:
        """Keep every connection asking for so long or so often, then take the last answers. Raises NoAnswer."""
        asking = [*self._sockets][: int(min(count, len(self._sockets)))]
        started = now = time.perf_counter()
        ends, answers, asked = started + seconds, 0, len(asking)
        for number in asking:
            self._sockets[number].sendall(self._requests[number])
        while answers < asked:
            ready = self._poll.poll(ANSWER_WITHIN_S)
            if not ready:
                raise NoAnswer(f"{asked - answers} requests had no answer within {ANSWER_WITHIN_S:g} s")
            now = time.perf_counter()
            for number, _ in ready:
                if self._is_answered(number):
                    answers += 1
                    if now < ends and asked < count:
                        asked += 1
                        self._sockets[number].sendall(self._requests[number])
        return Asked(answers, now - started)

    def _is_answered(self, number: int) -> bool:
        """Take what has come, and say whether the answer is whole. Raises NoAnswer."""
        piece = self._sockets[number].recv(PIECE_BYTES)
        if len(piece) == self._usual and number not in self._heard and piece.startswith(OK) and ERRORS not in piece:
            return True
        if not piece:
            raise NoAnswer("the server closed a connection")
        heard = self._heard.pop(number, b"") + piece
        if is_whole(heard):
            self._usual = len(heard)
            return True
        self._heard[number] = heard
        return False


def is_whole(heard: bytes) -> bool:
    """Whether this is all of an answer. Raises NoAnswer where it is not 200 or tells of errors."""
    at = heard.find(END_OF_HEAD)
    if at < 0:
        return False
    if not heard.startswith(OK) or ERRORS in heard:
        raise NoAnswer(f"expected 200 without errors, got {heard[:1000]!r}")
    head = heard[:at].lower()
    found = head.find(LENGTH)
    if found < 0:
        return heard.endswith(LAST_CHUNK)
    length = head[found + len(LENGTH) :].partition(b"\r\n")[0]
    return len(heard) >= at + len(END_OF_HEAD) + int(length)


def port_of(url: str) -> int:
    """Return the port that a URL names."""
    port = urlsplit(url).port
    assert port is not None, url
    return port


def http_request(method: str, path: str, body: bytes = b"") -> bytes:
    """Return a request as it goes over the wire."""
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


def first_answer(port: int, request: bytes) -> bytes:
    """Return the body of one answer. Raises NoAnswer."""
    with socket.create_connection(("127.0.0.1", port), timeout=ANSWER_WITHIN_S) as one:
        return next_answer(one, request)


def next_answer(one: socket.socket, request: bytes) -> bytes:
    """Return the body of an answer on a connection that waits for none. Raises NoAnswer."""
    one.sendall(request)
    heard = b""
    while not is_whole(heard):
        piece = one.recv(PIECE_BYTES)
        if not piece:
            raise NoAnswer(f"the server closed the connection after {heard[:200]!r}")
        heard += piece
    head, _, body = heard.partition(END_OF_HEAD)
    return body if LENGTH in head.lower() else unchunked(body)


def unchunked(body: bytes) -> bytes:
    """Return what the chunks of a body hold."""
    whole = b""
    while True:
        size, _, rest = body.partition(b"\r\n")
        length = int(size, 16)
        if not length:
            return whole
        whole, body = whole + rest[:length], rest[length + 2 :]
