"""All event streams of one replica: reserved ones by their tokens until they are opened or given up, and open ones."""

import asyncio
import re
import secrets
from contextlib import suppress

from starlette.types import Receive, Send

from core.cancellation import cancel_until_done
from gateway.metrics import OPEN_STREAMS
from gateway.transports.caps import RETRY_AFTER_S, CapReached, Caps
from gateway.transports.limits import EdgeLimits
from gateway.transports.refusal import Refusal
from gateway.transports.sse import EventStream

TOKEN_HEADER = b"x-graphql-event-stream-token"
TOKEN_PARAM = "token"
_SANE_TOKEN = re.compile(r"[A-Za-z0-9._~-]{20,100}")


class Streams:
    """All event streams of this replica, the reserved ones by their tokens."""

    def __init__(self, limits: EdgeLimits, caps: Caps) -> None:
        self._limits = limits
        self._caps = caps
        self._open: dict[EventStream, str] = {}
        """Each with the address of its client."""
        self._reserved: dict[str, EventStream] = {}
        self._expiries: set[asyncio.Task[None]] = set()
        self._leaving = False

    def __len__(self) -> int:
        return len({*self._open, *self._reserved.values()})

    @property
    def running_operations(self) -> int:
        """How many operations run on all streams."""
        return sum(len(stream.running) for stream in {*self._open, *self._reserved.values()})

    def new(self, owner: str, address: str) -> EventStream:
        """Return a stream for one operation, which must be served. Raises Refusal."""
        stream = self._make(owner)
        self._take_place(stream, address)
        return stream

    def _make(self, owner: str, token: str | None = None) -> EventStream:
        if self._leaving:
            raise Refusal(503, "UNAVAILABLE", "This replica is stopping; try again", {"connection": "close"})
        return EventStream(owner, self._limits, token)

    def _take_place(self, stream: EventStream, address: str) -> None:
        try:
            self._caps.sockets.take(address)
        except CapReached as exc:
            raise _too_many(str(exc)) from exc
        self._open[stream] = address

    def reserve(self, owner: str, caller: str, wanted: str | None) -> str:
        """Return the token of a new stream, which is given up if it isn't opened in time. Raises Refusal.

        `caller` is whom it is counted for until then. `wanted` is the token that the client, or the load balancer that
        routes by it, would like.
        """
        if wanted is not None and not _SANE_TOKEN.fullmatch(wanted):
            raise Refusal(400, "BAD_REQUEST", "token: expected 20 to 100 letters, digits, dots, dashes, or none")
        token = wanted or secrets.token_urlsafe(24)
        if token in self._reserved:
            raise Refusal(409, "CONFLICT", "Expected a token without a stream")
        if len(self._expiries) >= self._limits.stream_reservations:
            limit = self._limits.stream_reservations
            raise _too_many(f"Expected at most {limit} reservations that nobody has opened")
        stream = self._make(owner, token)
        try:
            self._caps.reservations.take(caller)
        except CapReached as exc:
            raise _too_many(str(exc)) from exc
        self._reserved[token] = stream
        expiry = asyncio.create_task(self._expire(stream), name="event stream's reservation")
        self._expiries.add(expiry)
        expiry.add_done_callback(self._expiries.discard)
        expiry.add_done_callback(lambda _: self._caps.reservations.give_back(caller))
        return token

    def find(self, token: str | None, owner: str) -> EventStream:
        """Return the owner's stream under a token; another's is not found. Raises Refusal."""
        stream = self._find(token)
        if stream.owner != owner:
            raise _unknown_token()
        return stream

    def open(self, token: str, address: str) -> EventStream:
        """Return a reserved stream that nobody has opened, which must be served. Raises Refusal.

        Its token says enough of who asks: it was given to a known caller, and an EventSource can send no other header.
        """
        stream = self._find(token)
        if stream in self._open:
            raise Refusal(409, "CONFLICT", "Expected a stream that isn't open")
        self._take_place(stream, address)
        return stream

    async def serve(self, stream: EventStream, receive: Receive, send: Send) -> None:
        """Keep the stream in the table while it is open; its token ends with it."""
        try:
            with OPEN_STREAMS.track_inprogress():
                await stream.serve(receive, send)
        finally:
            self._caps.sockets.give_back(self._open.pop(stream))
            self._forget(stream)

    async def leave(self, within_s: float) -> None:
        """End every stream as `EventStream.leave` says, and open no more."""
        self._leaving = True
        await cancel_until_done(self._expiries)
        for stream in set(self._reserved.values()) - self._open.keys():
            await self._give_up(stream)
        await asyncio.gather(*(stream.leave(within_s) for stream in self._open))

    async def _expire(self, stream: EventStream) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._limits.init_timeout_s):
                await stream.opened.wait()
        if stream not in self._open:
            await self._give_up(stream)

    async def _give_up(self, stream: EventStream) -> None:
        self._forget(stream)
        await stream.close()

    def _find(self, token: str | None) -> EventStream:
        stream = self._reserved.get(token or "")
        if stream is None:
            raise _unknown_token()
        return stream

    def _forget(self, stream: EventStream) -> None:
        if stream.token is not None:
            self._reserved.pop(stream.token, None)


def _too_many(message: str) -> Refusal:
    return Refusal(429, "RATE_LIMITED", message, {"retry-after": str(RETRY_AFTER_S)})


def _unknown_token() -> Refusal:
    return Refusal(404, "NOT_FOUND", "Expected the token of a reserved stream; reserve one by PUT")
