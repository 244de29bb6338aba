"""Followers over graphql-transport-ws that cost little: they count the frames they are sent and look into none."""

import select
import socket
import struct
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum, auto

import orjson

OPENING_AT_ONCE = 50
NEXT_WITHIN_S = 20.0
"""How long all followers that are on their way may take until the next of them has subscribed."""
PIECE_BYTES = 262_144
PER_ADDRESS = 500
"""Followers that come from one address, as a replica has a limit of them."""
FIRST_HOST = 2
"""127.0.0.1 is where proxies come from."""
MOST_READY = 4_096
"""Sockets with news that one look returns."""
HANDSHAKE = (
    b"GET /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
)
TEXT, PING, PONG, CLOSE = 0x81, 0x89, 0x8A, 0x88
"""First bytes of whole frames: RFC 6455, section 5.2."""


class CrowdFailed(Exception):
    """A server did not do as the protocol says; the message says how."""


class Phase(Enum):
    """How far a follower is."""

    HANDSHAKE = auto()
    INIT = auto()
    SUBSCRIBED = auto()
    FOLLOWING = auto()


@dataclass(slots=True, eq=False)
class Follower:
    """One connection."""

    socket: socket.socket
    subscribe: bytes
    phase: Phase = Phase.HANDSHAKE
    rest: bytes = b""
    heard: int = 0


def masked(first: int, body: bytes) -> bytes:
    """Return a client's frame; a mask of zeros changes nothing."""
    size = len(body)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + struct.pack(">H", size)
    return bytes([first]) + length + b"\0\0\0\0" + body


def subscription(document: str, variables: dict[str, str]) -> bytes:
    """Return the frame that begins operation 1."""
    payload = {"query": document, "variables": variables}
    return masked(TEXT, orjson.dumps({"id": "1", "type": "subscribe", "payload": payload}))


class Crowd:
    """The followers of one server. Use it as a context.

    `listen` is called with each message but a follower's first, which tells how things stand, not what happens.
    """

    def __init__(self, server: str, port: int, listen: Callable[[bytes], None] | None = None) -> None:
        self.server = server
        self._listen = listen
        self.heard = 0
        self.followers: list[Follower] = []
        self._port = port
        self._poll = select.epoll()
        self._by_number: dict[int, Follower] = {}
        self._opening = 0
        self.sample = b""
        """The first message that the follower was told who was told last."""

    def __enter__(self) -> "Crowd":
        return self

    def __exit__(self, *_: object) -> None:
        for follower in self.followers:
            follower.socket.close()
        self._poll.close()

    def open(self, subscriptions: Iterable[bytes], meanwhile: Callable[[], None]) -> None:
        """Have one more follower for each, up to its subscribe message. Raises CrowdFailed.

        `meanwhile` is called now and then, as many followers take long.
        """
        for number, subscribe in enumerate(subscriptions):
            if number % OPENING_AT_ONCE == 0:
                meanwhile()
            self._connect(subscribe)
            while self._opening >= OPENING_AT_ONCE:
                self._wait_for_some()
        while self._opening:
            self._wait_for_some()

    def _wait_for_some(self) -> None:
        opening, give_up = self._opening, time.monotonic() + NEXT_WITHIN_S
        while self._opening == opening:
            if time.monotonic() > give_up:
                raise self._failed(f"{opening} of {len(self.followers)} followers could not subscribe")
            self.take(0.1)

    def _connect(self, subscribe: bytes) -> None:
        one = socket.socket()
        one.bind((f"127.0.0.{FIRST_HOST + len(self.followers) // PER_ADDRESS}", 0))
        one.connect(("127.0.0.1", self._port))
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        one.sendall(HANDSHAKE)
        follower = Follower(one, subscribe)
        self.followers.append(follower)
        self._by_number[one.fileno()] = follower
        self._poll.register(one.fileno(), select.EPOLLIN)
        self._opening += 1

    def take(self, wait_s: float) -> None:
        """Read what has come by now, waiting so long for the first of it. Raises CrowdFailed."""
        for number, _ in self._poll.poll(wait_s, MOST_READY):
            follower = self._by_number[number]
            piece = follower.socket.recv(PIECE_BYTES)
            if not piece:
                raise self._failed("the server closed a connection")
            self._read(follower, follower.rest + piece if follower.rest else piece)

    def _read(self, follower: Follower, data: bytes) -> None:
        """Take the whole frames; what is left waits for more."""
        if follower.phase is Phase.HANDSHAKE:
            head, found, data = data.partition(b"\r\n\r\n")
            if not found:
                follower.rest = head
                return
            if not head.startswith(b"HTTP/1.1 101"):
                raise self._failed(f"expected 101, got {head[:200]!r}")
            follower.phase = Phase.INIT
            follower.socket.sendall(masked(TEXT, b'{"type":"connection_init"}'))
        at, size = 0, len(data)
        while size - at >= 2:
            first, length, body = data[at], data[at + 1], at + 2
            if length == 126:
                if size - at < 4:
                    break
                length, body = data[at + 2] << 8 | data[at + 3], at + 4
            elif length == 127:
                raise self._failed("a frame of more than 64 KB")
            if size < body + length:
                break
            at = body + length
            if first == TEXT and follower.phase is Phase.FOLLOWING:
                follower.heard += 1
                self.heard += 1
                if self._listen is not None:
                    self._listen(data[body:at])
            else:
                self._answer(follower, first, data[body:at])
        follower.rest = data[at:]

    def _answer(self, follower: Follower, first: int, body: bytes) -> None:
        """Do what the protocol asks after any frame but an event that follows another one."""
        if first == PING:
            follower.socket.sendall(masked(PONG, body))
        elif first == TEXT and b"connection_ack" in body:
            follower.phase = Phase.SUBSCRIBED
            follower.socket.sendall(follower.subscribe)
            self._opening -= 1
        elif follower.phase is Phase.SUBSCRIBED and b'"next"' in body:
            follower.phase = Phase.FOLLOWING
            follower.heard += 1
            self.heard += 1
            self.sample = body
        elif first != PONG:
            raise self._failed(f"expected an ack or an event, got a frame {first:#x} of {body[:500]!r}")

    def _failed(self, how: str) -> CrowdFailed:
        return CrowdFailed(f"{self.server}: {how}")
