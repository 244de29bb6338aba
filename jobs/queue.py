"""arq's run queue in Redis: how tickets enter it, are taken from it and leave it, each in one call for a whole batch.

The keys are arq's own, so its `Job` class and its tools keep working: the sorted set of waiting jobs,
`arq:job:<ticket>` with the call, and `arq:in-progress:<ticket>` while a worker has it. A taken ticket leaves the sorted
set at once, so running jobs neither hide new work from idle workers nor fill the bridge's window. Suspects have
a sorted set of their own: whoever takes from it runs the task alone.
"""

import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import orjson
from arq.constants import expires_extra_ms, in_progress_key_prefix, job_key_prefix
from arq.jobs import deserialize_job, serialize_job
from redis.asyncio import Redis

from core.messages import arq_queue_name
from core.scripts import Script
from jobs.losses import is_suspect

FUNCTION = "run_task"
"""The one arq function: the ticket says the rest."""
NO_TRACES: Mapping[str, str] = MappingProxyType({})
IN_PROGRESS_MS = 10_000
"""How long a taken ticket counts as in progress without being renewed: a lease's length."""

_put = Script("""
for i = 4, #ARGV, 2 do
  local ticket = ARGV[i]
  if redis.call('EXISTS', ARGV[3] .. ticket) == 0 and redis.call('ZADD', KEYS[1], 'NX', ARGV[1], ticket) == 1 then
    redis.call('SET', KEYS[2] .. ticket, ARGV[i + 1], 'PX', ARGV[2])
  end
end
redis.call('PUBLISH', KEYS[3], '')
return redis.call('ZCARD', KEYS[1])
""")
_take = Script("""
local tickets = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])
for i = 1, #tickets do
  redis.call('ZREM', KEYS[1], tickets[i])
  redis.call('SET', KEYS[2] .. tickets[i], '1', 'PX', ARGV[3])
  redis.call('PEXPIRE', KEYS[3] .. tickets[i], ARGV[3])
end
return tickets
""")


def encode_job(data: object) -> bytes:
    """Serialise arq's job payload: JSON in place of its default, pickle."""
    return orjson.dumps(data)


def decode_job(data: bytes) -> dict[str, object]:
    """Read what `encode_job` wrote."""
    job: dict[str, object] = orjson.loads(data)
    return job


def wake_channel(namespace: str) -> str:
    """Return the channel that tells idle workers of new jobs."""
    return f"{namespace}:wake:workers"


def suspects_wake_channel(namespace: str) -> str:
    """Return the channel that tells workers of new suspects."""
    return f"{namespace}:wake:suspects"


def _call(now_ms: int, arguments: dict[str, str]) -> bytes:
    return serialize_job(FUNCTION, (), arguments, None, now_ms, serializer=encode_job) or b""


class RunQueue:
    """One run queue. Every method raises redis.RedisError if Redis does not answer."""

    def __init__(self, redis: Redis, name: str, wake: str) -> None:
        self._redis = redis
        self._wake = wake
        self.name = name

    async def put(self, tickets: Sequence[str], traces: Mapping[str, str] = NO_TRACES) -> int:
        """Enqueue tickets in their order and wake the workers; one already waiting or in progress stays as it is.

        `traces` are those that go on from some of them, each an argument of its ticket's call. Returns how many jobs
        wait now.
        """
        if not tickets:
            return await self.length()
        now_ms = time.time_ns() // 1_000_000
        usual = _call(now_ms, {})
        keys = (self.name, job_key_prefix, self._wake)
        args: list[str | bytes | int] = [now_ms, expires_extra_ms, in_progress_key_prefix]
        for ticket in tickets:
            trace = traces.get(ticket)
            args += (ticket, usual if trace is None else _call(now_ms, {"trace": trace}))
        return int(str(await _put(self._redis, keys, args)))

    async def traces(self, tickets: Sequence[str]) -> dict[str, str]:
        """Return the traces that were put with these tickets, of those whose calls are still known."""
        calls = await self._redis.mget([job_key_prefix + ticket for ticket in tickets])
        arguments = {
            ticket: deserialize_job(call, deserializer=decode_job).kwargs
            for ticket, call in zip(tickets, calls, strict=True)
            if call is not None
        }
        return {ticket: given["trace"] for ticket, given in arguments.items() if "trace" in given}

    async def take(self, limit: int) -> list[str]:
        """Take up to `limit` tickets, the longest waiting first. They count as in progress, and are known, for 10 s."""
        now_ms = time.time_ns() // 1_000_000
        keys = (self.name, in_progress_key_prefix, job_key_prefix)
        taken = await _take(self._redis, keys, (now_ms, limit, IN_PROGRESS_MS))
        assert isinstance(taken, list)
        return [ticket.decode() for ticket in taken]

    async def forget(self, tickets: Sequence[str]) -> None:
        """Remove what arq keeps of tickets that are done with."""
        if tickets:
            keys = [prefix + ticket for ticket in tickets for prefix in (job_key_prefix, in_progress_key_prefix)]
            await self._redis.delete(*keys)

    async def renew(self, tickets: Sequence[str]) -> None:
        """Keep tickets in progress, and their calls known, for another 10 s."""
        if tickets:
            async with self._redis.pipeline(transaction=False) as pipe:
                for ticket in tickets:
                    pipe.psetex(in_progress_key_prefix + ticket, IN_PROGRESS_MS, b"1")
                    pipe.pexpire(job_key_prefix + ticket, IN_PROGRESS_MS)
                await pipe.execute()

    async def length(self) -> int:
        """Return how many jobs wait."""
        return int(await self._redis.zcard(self.name))

    async def missing(self, tickets: Sequence[str]) -> list[str]:
        """Return those that neither wait nor are in progress."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for ticket in tickets:
                pipe.zscore(self.name, ticket)
                pipe.exists(in_progress_key_prefix + ticket)
            found = await pipe.execute()
        return [
            ticket
            for ticket, score, in_progress in zip(tickets, found[::2], found[1::2], strict=True)
            if score is None and not in_progress
        ]


class RunQueues:
    """The short queue between bridge and workers, and the one of suspects."""

    def __init__(self, redis: Redis, namespace: str) -> None:
        name = arq_queue_name(namespace)
        self.common = RunQueue(redis, name, wake_channel(namespace))
        self.suspects = RunQueue(redis, f"{name}:suspects", suspects_wake_channel(namespace))

    def of(self, crashes: int) -> RunQueue:
        """Return the queue that a task with this count of crashes belongs in."""
        return self.suspects if is_suspect(crashes) else self.common
