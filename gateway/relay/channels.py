"""The replica's one pub/sub connection: which channels are wanted, which are confirmed, and whether it is alive.

A pattern is a wanted channel whose name ends in `*`, with a listener of its own.

Only this module's own asyncio task touches the connection, because redis-py drops it when a sender is cancelled.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Protocol

from redis._parsers.hiredis import NOT_ENOUGH_DATA, _AsyncHiredisParser
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from core.telemetry import get_logger

log = get_logger(__name__)
PING_EVERY_S = 1.0
SILENCE_S = 2.5
"""A connection that says nothing for so long is dead: it is pinged every second."""
RECONNECT_S = (0.1, 1.0)
CHUNK = 500
"""Channels in one command."""
TURN_S = 0.01
"""How long messages are taken without letting the event loop go on: while more are there, reading never waits."""


class Listener(Protocol):
    """What the connection reports. Its methods neither block nor raise."""

    def heard(self, channel: str, data: bytes) -> None:
        """Take a message."""

    def confirmed(self, channel: str) -> None:
        """Take note that every message of the channel comes from here on."""

    def lost(self) -> None:
        """Take note that no message comes, until channels are confirmed again."""


class ConnectionLost(ConnectionError):
    """The connection died, or came back without telling."""


class Channels:
    """Keeps one connection subscribed to the wanted channels. `run` owns it; to end it, `stop`, then cancel it.

    Cancelling alone does not do: before Python 3.12 `asyncio.wait_for`, by which redis-py sends, may swallow it, and a
    task group that has also seen an error raises only that. So every loop in here also looks whether it is to go on.
    """

    def __init__(self, redis: Redis, listener: Listener, base_channel: str) -> None:
        self.up = asyncio.Event()
        self._redis = redis
        self._listener = listener
        self._base = base_channel
        self._wanted: set[str] = set()
        self._patterns: dict[str, Listener] = {}
        self._sent: set[str] = set()
        self._unanswered: Counter[str] = Counter()
        self._changed = asyncio.Event()
        self._heard_at = 0.0
        self._current: PubSub | None = None
        self._stopping = False

    def want(self, channel: str) -> None:
        """Have the channel subscribed to; its confirmation is reported to the listener."""
        self._wanted.add(channel)
        self._changed.set()

    def drop(self, channel: str) -> None:
        """Have the channel unsubscribed from."""
        self._wanted.discard(channel)
        self._changed.set()

    def want_all(self, pattern: str, listener: Listener) -> None:
        """Have all channels whose names begin as `pattern` does before its final `*` reported to this listener."""
        self._patterns[pattern] = listener
        self.want(pattern)

    def drop_all(self, pattern: str) -> None:
        """Report a pattern's channels no more."""
        self._patterns.pop(pattern, None)
        self.drop(pattern)

    def is_confirmed(self, channel: str) -> bool:
        """Return whether every message of the channel comes at present."""
        return self.up.is_set() and channel in self._sent and channel not in self._unanswered

    def stop(self) -> None:
        """Have `run` end rather than go on, wherever it is."""
        self._stopping = True
        self._leave()

    def _leave(self) -> None:
        """Have the loops of the present connection end."""
        self._current = None
        self._changed.set()

    async def run(self) -> None:
        """Connect, and again whenever the connection is lost."""
        pause_s, most_s = RECONNECT_S
        while not self._stopping:
            try:
                await self._connected()
            except* (RedisError, OSError, TimeoutError) as failures:
                if self.up.is_set():
                    log.warning("The pub/sub connection is lost.", reason=str(failures.exceptions[0])[:200])
            except* Exception:
                log.exception("The pub/sub connection ended by a bug; it is opened again.")
            if self.up.is_set():
                self.up.clear()
                for listener in (self._listener, *self._patterns.values()):
                    listener.lost()
                pause_s = RECONNECT_S[0]
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))
            pause_s = min(most_s, pause_s * 2)

    async def _connected(self) -> None:
        """Live through one connection. A new PubSub each time: the old one would resubscribe on its own."""
        self._sent.clear()
        self._unanswered.clear()
        self._changed.set()
        pubsub = self._current = self._redis.pubsub()
        try:
            # The base channel keeps it in subscribed state, in which redis-py never reads behind the reader's back.
            await pubsub.subscribe(self._base)
            self._unanswered[self._base] += 1
            self._heard_at = asyncio.get_running_loop().time()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read(pubsub), name="relay: read pub/sub")
                group.create_task(self._write(pubsub), name="relay: write pub/sub")
        finally:
            await pubsub.aclose()  # type: ignore[no-untyped-call]  # redis-py leaves it untyped.

    async def _read(self, pubsub: PubSub) -> None:
        loop = asyncio.get_running_loop()
        rest_at = loop.time() + TURN_S
        try:
            while self._current is pubsub:
                for response in _arrived(pubsub):
                    if response[0] == b"message":
                        self._listener.heard(response[1].decode(), response[2])
                    else:
                        self._take(await pubsub.handle_message(response))  # type: ignore[no-untyped-call]
                    if loop.time() >= rest_at:
                        break
                else:
                    self._take(await _next(pubsub))
                    self._heard_at = loop.time()
                if loop.time() >= rest_at:
                    await asyncio.sleep(0)
                    rest_at = loop.time() + TURN_S
        finally:
            self._leave()

    def _take(self, message: dict[str, Any] | None) -> None:
        if message is None:
            return
        kind, channel = message["type"], _text(message["channel"])
        if kind == "message":
            self._listener.heard(channel, message["data"])
        elif kind == "pmessage":
            listener = self._patterns.get(_text(message["pattern"]))
            if listener is not None:
                listener.heard(channel, message["data"])
        elif kind in ("subscribe", "unsubscribe", "psubscribe", "punsubscribe"):
            self._answered(kind, channel)

    def _answered(self, kind: str, channel: str) -> None:
        """Count an answer. The latest command for a channel is answered when none is left to come."""
        if not self._unanswered[channel]:
            raise ConnectionLost(f"{channel} was confirmed again, so the connection had gone and come back")
        self._unanswered[channel] -= 1
        if self._unanswered[channel]:
            return
        del self._unanswered[channel]
        if channel == self._base:
            self.up.set()
        elif kind in ("subscribe", "psubscribe") and channel in self._wanted:
            self._patterns.get(channel, self._listener).confirmed(channel)

    async def _write(self, pubsub: PubSub) -> None:
        loop = asyncio.get_running_loop()
        ping_at = loop.time() + PING_EVERY_S
        while self._current is pubsub:
            try:
                async with asyncio.timeout_at(ping_at):
                    await self._changed.wait()
            except TimeoutError:
                if self._current is not pubsub:
                    return
                now = loop.time()
                # A loop that was held up has not read yet what came meanwhile, which says nothing of the connection.
                if now - self._heard_at > SILENCE_S and now - ping_at < PING_EVERY_S:
                    raise ConnectionLost(f"Redis said nothing for {SILENCE_S:g} s") from None
                await pubsub.ping()
                ping_at = loop.time() + PING_EVERY_S
            self._changed.clear()
            await self._send(pubsub)

    async def _send(self, pubsub: PubSub) -> None:
        while self._current is pubsub and (gone := list(self._sent - self._wanted)[:CHUNK]):
            self._sent.difference_update(gone)
            self._unanswered.update(gone)
            await _each(pubsub.unsubscribe, pubsub.punsubscribe, gone)
        while self._current is pubsub and (fresh := list(self._wanted - self._sent)[:CHUNK]):
            self._sent.update(fresh)
            self._unanswered.update(fresh)
            await _each(pubsub.subscribe, pubsub.psubscribe, fresh)


async def _each(
    on_channels: Callable[..., Awaitable[object]], on_patterns: Callable[..., Awaitable[object]], names: list[str]
) -> None:
    patterns = [name for name in names if name.endswith("*")]
    channels = [name for name in names if not name.endswith("*")]
    if channels:
        await on_channels(*channels)
    if patterns:
        await on_patterns(*patterns)


def _parser(pubsub: PubSub) -> _AsyncHiredisParser | None:
    """Return what parses the connection's messages, where that is what it should be."""
    parser = getattr(getattr(pubsub, "connection", None), "_parser", None)
    return parser if isinstance(parser, _AsyncHiredisParser) else None


def _arrived(pubsub: PubSub) -> Iterator[Any]:
    """Yield what has come and can be parsed. Raises RedisError."""
    parser = _parser(pubsub)
    reader: Any = None if parser is None else parser._reader
    if reader is not None:
        while (response := reader.gets()) is not NOT_ENOUGH_DATA:
            if isinstance(response, Exception):
                raise response
            yield response


async def _next(pubsub: PubSub) -> dict[str, Any] | None:
    """Wait until more has come; return a message if it could not be read without redis-py. Raises RedisError.

    redis-py hands out each message by way of seven coroutines and a time limit, which takes longer than all that is
    done with it (17 of 115 µs, measured 2026-11-30).
    """
    parser = _parser(pubsub)
    if parser is None or not parser._connected:
        message: dict[str, Any] | None = await pubsub.get_message(timeout=None)
        return message
    await parser.read_from_socket()  # type: ignore[no-untyped-call]
    return None


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
