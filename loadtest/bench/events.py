"""The events that followers are told, as they go to Redis: Headway's as its workers write them, the peers' as JSON."""

import itertools
import socket
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from urllib.parse import urlsplit
from uuid import UUID

import orjson

from core.clock import utc_now
from core.documents import Task, TaskProgress, TimelineEntry
from core.events import Cursor, Progressed, encode_event, encode_notice, stream_key
from core.states import TaskStatus
from core.streams import STREAM_LENGTH

EPOCH = 2
TOTAL = 1_000_000
PEER_CHANNEL = "bench:{task_id}"
DOCUMENT = """subscription Follow($id: ID!, $after: String) { taskEvents(id: $id, after: $after) {
  cursor at attempt ... on Progressed { progress { current total percent message } } } }"""
"""What every contestant is asked: the same of each event."""
BEFORE_FIRST = str(Cursor(EPOCH, 1))
Encode = Callable[[UUID, int], bytes]
"""From a task and an event's number to the commands that tell of it."""


def command(*words: bytes | str | int) -> bytes:
    """Return a command in Redis's protocol."""
    encoded = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded)


def progress(n: int) -> Progressed:
    """Return the event with this number."""
    return Progressed(at=utc_now(), attempt=1, current=n, total=TOTAL, message=f"step {n}")


def as_headway(namespace: str) -> Encode:
    """Write an event as `core.streams` does: to the task's stream, then to its channel."""

    def encode(task_id: UUID, n: int) -> bytes:
        cursor, body, key = Cursor(EPOCH, n), encode_event(progress(n)), stream_key(namespace, task_id)
        added = command("XADD", key, "MAXLEN", "~", STREAM_LENGTH, str(cursor), "e", body)
        return added + command("PUBLISH", key, encode_notice(cursor, body))

    return encode


def as_peer(task_id: UUID, n: int) -> bytes:
    """Publish an event as one does without Headway."""
    told = progress(n)
    body = {
        "cursor": str(Cursor(EPOCH, n)),
        "at": told.at,
        "attempt": told.attempt,
        "current": n,
        "total": TOTAL,
        "percent": 100 * n / TOTAL,
        "message": told.message,
    }
    return command("PUBLISH", PEER_CHANNEL.format(task_id=task_id), orjson.dumps(body))


def running_task(task_id: UUID) -> Task:
    """Return a task that a worker has claimed and told nothing of yet."""
    now = utc_now()
    statuses = ((1, 1, 0, TaskStatus.PENDING), (1, 2, 0, TaskStatus.QUEUED), (EPOCH, 1, 1, TaskStatus.RUNNING))
    timeline = [
        TimelineEntry(epoch=epoch, n=n, at=now, attempt=attempt, status=status, by="bench")
        for epoch, n, attempt, status in statuses
    ]
    made: Task = Task.model_construct(
        id=task_id,
        kind="processData",
        status=TaskStatus.RUNNING,
        input={"data": "bench", "iterations": TOTAL},
        progress=TaskProgress(total=TOTAL),
        epoch=EPOCH,
        n=1,
        attempt=1,
        max_attempts=3,
        timeout_s=timedelta(hours=1).total_seconds(),
        started_at=now,
        worker_seen_at=now,
        timeline=timeline,
    )
    return made


class Publisher:
    """One connection to Redis that awaits no answer. Use it as a context."""

    def __init__(self, redis_url: str) -> None:
        address = urlsplit(redis_url)
        self._socket = socket.create_connection((address.hostname or "127.0.0.1", address.port or 6379), timeout=30)
        self._socket.sendall(command("CLIENT", "REPLY", "OFF"))

    def __enter__(self) -> "Publisher":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, commands: bytes) -> None:
        """Send commands, waiting while Redis has no room for them."""
        self._socket.sendall(commands)


class Feed:
    """Tells tasks of their progress, one after the other: the first `told` of them, the others stay where they are.

    `followers` are those of each task.
    """

    def __init__(
        self, task_ids: Sequence[UUID], followers: int, told: int, encode: Encode, publisher: Publisher
    ) -> None:
        self.followers = followers
        self.told = told
        self._encode = encode
        self._publisher = publisher
        self._numbers = dict.fromkeys(task_ids, 1)
        self._turns: Iterator[UUID] = itertools.cycle(task_ids[:told])

    def tell(self, events: int) -> int:
        """Publish so many events; return how many messages followers are to hear of them."""
        self._publisher.send(b"".join(self._event(next(self._turns)) for _ in range(events)))
        return events * self.followers

    def tell_each(self, task_ids: Sequence[UUID]) -> None:
        """Publish one event for each of some tasks."""
        self._publisher.send(b"".join(self._event(task_id) for task_id in task_ids))

    def _event(self, task_id: UUID) -> bytes:
        self._numbers[task_id] += 1
        return self._encode(task_id, self._numbers[task_id])
