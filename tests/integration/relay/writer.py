"""The writing side of a task, as bridge and worker do it: the compare-and-set first, then the event."""

from uuid import UUID

from redis.asyncio import Redis

from core.clock import utc_now
from core.documents import Task, TaskFailure, TaskProgress, TimelineEntry
from core.events import Cursor, Event, Progressed, encode_event, stream_key
from core.states import TaskStatus
from core.streams import EventStreams, StreamEvent
from core.transition import Transition
from core.transitions import (
    ProgressWrite,
    cancelling,
    claimed,
    failed,
    progress_fields,
    progress_operations,
    queued,
    requeued,
    succeeded,
)


class Writer:
    """Moves one task on. It holds the task's latest epoch and numbers its events."""

    def __init__(self, redis: Redis, namespace: str, task_id: UUID) -> None:
        self.task_id = task_id
        self.stream = stream_key(namespace, task_id)
        self.cursor = Cursor(1, 1)
        self.attempt = 0
        self.told = progress_fields(TaskProgress(), None)
        self._redis = redis
        self._streams = EventStreams(redis, namespace)

    @classmethod
    async def submit(cls, redis: Redis, namespace: str) -> "Writer":
        """Store a PENDING task and announce it."""
        now = utc_now()
        entry = TimelineEntry(epoch=1, n=1, at=now, attempt=0, status=TaskStatus.PENDING, by="gateway")
        task = Task(
            kind="processData",
            status=TaskStatus.PENDING,
            input={"data": "x"},
            max_attempts=3,
            timeout_s=600,
            timeline=[entry],
        )
        await task.insert()
        writer = cls(redis, namespace, task.id)
        await writer.append(writer.cursor, entry.event())
        return writer

    async def append(self, cursor: Cursor, event: Event, *, ends: bool = False) -> bool:
        """Append and publish one event; returns whether the stream took it."""
        return (await self._streams.append([StreamEvent(self.task_id, cursor, event, ends)]))[0]

    async def store(self, transition: Transition) -> StreamEvent:
        """Make the compare-and-set and return its event, which is still to be told."""
        await Task.get_pymongo_collection().update_one(transition.filter, transition.update)
        task = await Task.get(self.task_id)
        assert task is not None
        assert task.cursor == transition.cursor, "the compare-and-set was lost"
        self.cursor, self.attempt = task.cursor, task.attempt
        return StreamEvent(self.task_id, task.cursor, task.timeline[-1].event(), task.status.is_terminal)

    async def tell(self, event: StreamEvent) -> None:
        """Append and publish what was stored."""
        await self._streams.append([event])

    async def put(self, event: StreamEvent) -> None:
        """Append what was stored, but have nobody hear of it."""
        await self._redis.xadd(self.stream, {"e": encode_event(event.event)}, id=str(event.cursor))

    async def queue(self) -> None:
        """PENDING → QUEUED."""
        await self.tell(await self.store(queued(self.task_id, self.cursor.epoch, by="bridge")))

    async def claim(self) -> None:
        """QUEUED → RUNNING."""
        self.told = progress_fields(TaskProgress(), None)
        await self.tell(await self.store(self.claimed()))

    def claimed(self) -> Transition:
        """The claim, still to be stored."""
        return claimed(self.task_id, self.cursor.epoch, worker="worker", token="token", lease_until=utc_now())

    async def requeue(self) -> None:
        """RUNNING → QUEUED."""
        await self.tell(await self.store(requeued(self.task_id, self.cursor.epoch, by="bridge", reason="lost")))

    def progressed(self, current: int, total: int | None = 100) -> tuple[Cursor, Progressed]:
        """Number the next progress event."""
        self.cursor = self.next
        event = Progressed(at=utc_now(), attempt=self.attempt, current=current, total=total)
        self.told = progress_fields(TaskProgress(current=current, total=total), event.at)
        return self.cursor, event

    async def progress(self, current: int, total: int | None = 100) -> None:
        """Report progress to Redis."""
        await self.append(*self.progressed(current, total))

    async def save_progress(self) -> None:
        """Store the latest progress, as the holder does once a second."""
        write = ProgressWrite(self.task_id, self.cursor, self.told)
        await Task.get_pymongo_collection().bulk_write(progress_operations([write]))

    @property
    def next(self) -> Cursor:
        """The id of the next event."""
        return Cursor(self.cursor.epoch, self.cursor.n + 1)

    def cancelling(self) -> Transition:
        """The announcement of a cancel, still to be stored."""
        return cancelling(self.task_id, self.next, by="worker", reason="asked", told={})

    def succeeded(self) -> Transition:
        """The success, still to be stored."""
        return succeeded(self.task_id, self.next, by="worker", result={"totalProcessed": 100}, told=self.told)

    async def succeed(self) -> None:
        """RUNNING → SUCCEEDED."""
        await self.tell(await self.store(self.succeeded()))

    async def fail(self) -> None:
        """RUNNING → FAILED."""
        error = TaskFailure(code="BROKEN", message="It broke.")
        await self.tell(
            await self.store(failed(self.task_id, self.next, by="worker", error=error, failures=1, told=self.told))
        )
