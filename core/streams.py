"""The live streams in Redis: one call appends events under exactly their ids and publishes those that were accepted."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from redis.asyncio import Redis

from core.events import Cursor, Event, decode_event, encode_event, encode_notice, stream_key
from core.scripts import Script
from core.tracing import SpanKind, spans

STREAM_LENGTH = 256
"""Entries a stream keeps, about; older ones are trimmed."""
LIVE_TTL_MS = 25 * 3600 * 1000
"""An untouched stream outlives the longest attempt (24 h) by an hour."""
ENDED_TTL_MS = 3600 * 1000

_append = Script("""
local taken = {}
for i = 1, #KEYS do
  local at = (i - 1) * 4
  local added = redis.pcall('XADD', KEYS[i], 'MAXLEN', '~', ARGV[1], ARGV[at + 2], 'e', ARGV[at + 3])
  if type(added) == 'table' and added.err then
    if not string.find(added.err, 'equal or smaller', 1, true) then return added end
    taken[i] = 0
  else
    redis.call('PEXPIRE', KEYS[i], ARGV[at + 4])
    redis.call('PUBLISH', KEYS[i], ARGV[at + 5])
    taken[i] = 1
  end
end
return taken
""")


class StreamEvent(NamedTuple):
    """An event on its way to a task's stream. `ends` shortens the stream's life to an hour.

    `trace` is whose span the telling of an end belongs under, where there is one.
    """

    task_id: UUID
    cursor: Cursor
    event: Event
    ends: bool = False
    trace: str | None = None


class EventStreams:
    """Writes and reads tasks' streams over one Redis client, which the caller closes."""

    def __init__(self, redis: Redis, namespace: str) -> None:
        self._redis = redis
        self._namespace = namespace

    async def append(self, events: Sequence[StreamEvent]) -> list[bool]:
        """Append and publish events in one round trip, in their order.

        Returns for each whether its stream took it: False means that the stream has seen this id or a greater one,
        so the event is a repeat or its writer lost the epoch. Raises redis.RedisError if Redis does not answer.
        """
        if not events:
            return []
        keys = [stream_key(self._namespace, event.task_id) for event in events]
        args: list[bytes | int | str] = [STREAM_LENGTH]
        for event in events:
            body = encode_event(event.event)
            ttl_ms = ENDED_TTL_MS if event.ends else LIVE_TTL_MS
            args += (str(event.cursor), body, ttl_ms, encode_notice(event.cursor, body))
        parents = {str(event.task_id): event.trace for event in events if event.trace}
        with spans("tell the end", SpanKind.PRODUCER, parents, {"messaging.system": "redis"}):
            taken = await _append(self._redis, keys, args)
        assert isinstance(taken, list)
        return [bool(took) for took in taken]

    async def read(self, task_id: UUID, after: Cursor) -> list[tuple[Cursor, Event]]:
        """Return the events the stream still holds with an id greater than `after`, oldest first."""
        return (await self.read_many([(task_id, after)]))[0]

    async def read_many(self, wanted: Sequence[tuple[UUID, Cursor]]) -> list[list[tuple[Cursor, Event]]]:
        """Return for each task the events with an id greater than its cursor, oldest first, by one round trip."""
        pipeline = self._redis.pipeline(transaction=False)
        for task_id, after in wanted:
            pipeline.xrange(stream_key(self._namespace, task_id), min=f"({after}", max="+")
        return [
            [(Cursor.parse(_text(ident), "stream id"), decode_event(fields[b"e"])) for ident, fields in entries]
            for entries in await pipeline.execute()
        ]


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
