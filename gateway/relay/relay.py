"""Follows tasks for this replica's subscribers over one Redis pub/sub connection, however many they are."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import TypeVar
from uuid import UUID

import msgspec
from redis.asyncio import Redis

from core.errors import BadUserInput, Unavailable
from core.events import Cursor, Event, decode_notice, stream_key
from core.states import Delivery
from core.streams import EventStreams
from core.telemetry import get_logger
from gateway.relay.board import Boards
from gateway.relay.catchup import CatchUp
from gateway.relay.channels import Channels
from gateway.relay.events import EventFollower, Events
from gateway.relay.following import CONFIRM_S, Following
from gateway.relay.history import Told
from gateway.relay.latest import Follower
from gateway.relay.poll import Poll
from gateway.relay.snapshot import Snapshot
from gateway.relay.stored import StoredTasks
from gateway.relay.watch import Waker, Watch

log = get_logger(__name__)
T = TypeVar("T")
MAX_HZ = 60.0


class Relay:
    """Joins subscribers to tasks. Enter it before use; leaving it ends every follower with Unavailable.

    Redis may be away, at the start too: then the watched tasks are polled in MongoDB until it is back.
    """

    def __init__(
        self, redis: Redis, streams: EventStreams, namespace: str, *, stored: StoredTasks | None = None
    ) -> None:
        self._namespace = namespace
        self._watches: dict[UUID, Watch] = {}
        self._by_channel: dict[str, Watch] = {}
        self._stored = stored or StoredTasks()
        self._channels = Channels(redis, self, f"{namespace}:relay")
        self.boards = Boards(self._channels, namespace)
        self._catch_up = CatchUp(self._stored, streams, self._channels, self._fail)
        self._events = Events(self._stored, self._catch_up, self._channels)
        self._poll = Poll(
            lambda: list(self._watches.values()), self._stored, self._channels, self._catch_up, self._fail
        )
        self._loops: list[asyncio.Task[None]] = []
        self._latest: tuple[Event, float] | None = None
        """An event, and when it was heard."""

    async def __aenter__(self) -> "Relay":
        self._loops = [
            asyncio.create_task(self._channels.run(), name="relay: pub/sub"),
            asyncio.create_task(self._poll.run(), name="relay: poll"),
        ]
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(CONFIRM_S):
                    await self._channels.up.wait()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        for watch in list(self._watches.values()):
            self._fail(watch, Unavailable("This replica"))
        await self.boards.aclose()
        await self._stop()

    async def _stop(self) -> None:
        self._channels.stop()
        self._poll.stop()
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        await self._catch_up.aclose()
        await self._stored.aclose()

    @property
    def delivery(self) -> Delivery:
        """How news reaches this replica at the moment."""
        return Delivery.LIVE if self._channels.up.is_set() else Delivery.DEGRADED

    @property
    def watched(self) -> int:
        """Tasks that this replica watches."""
        return len(self._watches)

    @property
    def subscribers(self) -> int:
        """Followers of all watched tasks."""
        return sum(len(watch.followers) for watch in self._watches.values())

    @property
    def lag_s(self) -> float:
        """How old the latest event of a watched task was when it came, 0 if none has."""
        if self._latest is None:
            return 0.0
        event, heard_at = self._latest
        return max(0.0, heard_at - event.at.timestamp())

    def follow(self, task_id: UUID, *, max_hz: float = 10.0) -> Following[Snapshot]:
        """Yield the task as it is now, then the latest as it moves on; end after the terminal status.

        Progress comes at most `max_hz` times a second, another status at once; a slow reader misses what it was too
        slow for, never the end. Cursors rise strictly. Raises BadUserInput if `max_hz` is not within (0, 60], and,
        before it yields anything, NotFound for an unknown id and Unavailable if MongoDB does not answer. Close it
        (`contextlib.aclosing`) to leave early.
        """
        if not 0 < max_hz <= MAX_HZ:
            raise BadUserInput("maxHz", f"a number greater than 0 and at most {MAX_HZ:g}", got=max_hz)
        return Following(self, task_id, Follower(max_hz), _as_it_is)

    def follow_events(self, task_id: UUID, *, after: Cursor, may_see: Callable[[str], bool]) -> Following[Told]:
        """Yield every event of the task after a cursor, and a Gap wherever some may be missing; end after its end.

        Cursors rise strictly, and any of them may be given to any replica to go on from there. Raises, before it
        yields anything, NotFound for an unknown id or an owner whose tasks one may not see, BadUserInput for a cursor
        of an epoch that the task has not reached, and Unavailable if MongoDB does not answer. Close it to leave early.
        """
        return Following(self, task_id, EventFollower(self._events, after, may_see), _as_it_is)

    def join(self, task_id: UUID, follower: Waker) -> Watch:
        """Keep a follower in the tables until it leaves."""
        watch = self._watches.get(task_id)
        if watch is None:
            watch = self._watches[task_id] = Watch(task_id, stream_key(self._namespace, task_id))
            self._by_channel[watch.channel] = watch
            self._catch_up.open(watch)
        watch.followers.add(follower)
        return watch

    def leave(self, watch: Watch, follower: Waker) -> None:
        """Keep a follower no more; nobody's task is watched no more."""
        watch.followers.discard(follower)
        if not watch.followers:
            self._forget(watch)

    def _forget(self, watch: Watch) -> None:
        self._catch_up.stop(watch)
        if self._watches.get(watch.task_id) is watch:
            del self._watches[watch.task_id], self._by_channel[watch.channel]
            self._channels.drop(watch.channel)

    def _fail(self, watch: Watch, failure: Exception) -> None:
        """End its followers; who joins from now on begins anew."""
        self._forget(watch)
        watch.fail(failure)

    def heard(self, channel: str, data: bytes) -> None:
        """Take a message of the pub/sub connection."""
        watch = self._by_channel.get(channel)
        if watch is None:
            return
        try:
            cursor, event = decode_notice(data)
        except (BadUserInput, msgspec.MsgspecError) as exc:
            log.warning("An event is unreadable and left out.", channel=channel, reason=str(exc))
            return
        self._latest = event, time.time()
        if watch.status is None or watch.work is not None:
            watch.pending.append((cursor, event))
        elif not watch.hear(cursor, event):
            self._catch_up.request(watch)

    def confirmed(self, channel: str) -> None:
        """Catch up with what was published before the channel was confirmed, for the first time or after an outage."""
        watch = self._by_channel.get(channel)
        if watch is not None:
            self._catch_up.request(watch, reread=watch.ready.is_set())

    def lost(self) -> None:
        """Go on by polling."""
        for watch in self._watches.values():
            watch.set_live(False)
            if watch.loaded.is_set():
                watch.ready.set()
        self._poll.hurry()


def _as_it_is(thing: T) -> T:
    return thing
