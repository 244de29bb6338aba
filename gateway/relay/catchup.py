"""Brings a watched task up to date: its document from MongoDB, and what its stream holds after that."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any
from uuid import UUID

import msgspec
from redis.exceptions import RedisError

from core.errors import BadUserInput, NotFound, Unavailable
from core.events import Cursor, Event
from core.grouping import GroupCommit
from core.streams import EventStreams
from core.telemetry import get_logger
from gateway.relay.channels import Channels
from gateway.relay.stored import StoredTasks
from gateway.relay.watch import Watch

log = get_logger(__name__)
STREAM_TIMEOUT_S = 2.0
STREAM_LIMIT = 200
"""Streams read by one round trip."""


class CatchUp:
    """Runs at most one asyncio task a watch, which ends as soon as the watch is up to date."""

    def __init__(
        self,
        stored: StoredTasks,
        streams: EventStreams,
        channels: Channels,
        fail: Callable[[Watch, Exception], None],
    ) -> None:
        self._stored = stored
        self._streams = streams
        self._channels = channels
        self._fail = fail
        self._events = GroupCommit(self._read_streams, name="relay: read streams", limit=STREAM_LIMIT)
        self._running: set[asyncio.Task[None]] = set()

    async def aclose(self) -> None:
        """Stop all that is under way."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await self._events.aclose()

    def open(self, watch: Watch) -> None:
        """Read a watch's first document and have its channel confirmed, upon which it is to catch up."""
        self._start(watch, self._open(watch))

    def request(self, watch: Watch, *, reread: bool = False) -> None:
        """Have the watch filled up from its stream, and from MongoDB where the stream can't tell or `reread` asks."""
        watch.asked = True
        watch.asked_reread = watch.asked_reread or reread
        if watch.work is None:
            self._start(watch, self._run(watch))

    def stop(self, watch: Watch) -> None:
        """End what is under way for a watch that nobody needs any more."""
        if watch.work is not None:
            watch.work.cancel()

    def _start(self, watch: Watch, work: Coroutine[Any, Any, None]) -> None:
        watch.work = asyncio.create_task(work, name=f"relay: {watch.task_id}")
        self._running.add(watch.work)
        watch.work.add_done_callback(self._running.discard)

    async def _open(self, watch: Watch) -> None:
        try:
            task = await self._stored.read(watch.task_id)
        except Exception as failure:  # noqa: BLE001 - whatever it is, the followers have to hear of it.
            self._fail(watch, failure)
            return
        finally:
            watch.work = None
        if task is None:
            self._fail(watch, NotFound("task", watch.task_id))
            return
        watch.take(task)
        watch.loaded.set()
        if watch.ended:  # Nothing more can come; what is stored is the whole story unless Redis is away.
            watch.set_live(self._channels.up.is_set())
        else:
            self._channels.want(watch.channel)
        if watch.ended or not self._channels.up.is_set():
            watch.ready.set()

    async def _run(self, watch: Watch) -> None:
        try:
            while watch.asked or watch.has_pending:
                reread, watch.asked, watch.asked_reread = watch.asked_reread, False, False
                await self._once(watch, reread)
        except NotFound as failure:
            self._fail(watch, failure)
        except Exception:
            log.exception("A watched task could not catch up; the next poll tries again.", task_id=str(watch.task_id))
            watch.held = True
        finally:
            watch.work = None
        watch.ready.set()

    async def _once(self, watch: Watch, reread: bool) -> None:
        streamed = await self.read_stream(watch.task_id, watch.cursor)
        news = watch.missed(streamed or ())
        watch.take_pending()
        watch.held, stored = False, None
        if reread or streamed is None or watch.needs_document(news):
            try:
                stored = await self._stored.reread(watch.task)
            except Unavailable:
                watch.held = True
            else:
                if stored is None:
                    raise NotFound("task", watch.task_id)
        watch.catch_up(stored, news)
        watch.set_live(streamed is not None and self._channels.is_confirmed(watch.channel))
        for cursor, event in watch.take_pending():
            watch.hear(cursor, event)

    async def read_stream(self, task_id: UUID, after: Cursor) -> Sequence[tuple[Cursor, Event]] | None:
        """Return what the stream holds after a cursor, oldest first; None if Redis does not answer with events."""
        try:
            return await self._events.submit((task_id, after))
        except (RedisError, OSError, TimeoutError):
            return None
        except (BadUserInput, KeyError, msgspec.MsgspecError) as exc:
            log.warning("A stream holds what is no event.", task_id=str(task_id), reason=str(exc))
            return None

    async def _read_streams(self, wanted: list[tuple[UUID, Cursor]]) -> list[list[tuple[Cursor, Event]]]:
        async with asyncio.timeout(STREAM_TIMEOUT_S):
            return await self._streams.read_many(wanted)
