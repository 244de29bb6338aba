"""MongoDB, Redis and the writers of one task in memory, where every answer and message waits until it is let go.

It stands at the edge of the relay's own code: its pub/sub, its streams and its stored tasks.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from redis.exceptions import ConnectionError as RedisAway

from core.documents import Task, TaskFailure, TaskProgress, TimelineEntry
from core.errors import Unavailable
from core.events import Cursor, Event, Logged, Progressed, encode_event, encode_notice, stream_key
from core.states import TaskStatus
from core.streams import EventStreams
from gateway.relay.stored import Moved, Position, Reread, StoredTasks
from tests.unit.relay.tasks import START, task

T = TypeVar("T")
NAMESPACE = "test"


@dataclass
class Question:
    """A read under way: first it is answered, later the answer arrives, and both can fail."""

    answer: Callable[[], Any]
    future: "asyncio.Future[Any]"
    value: Any = None
    answered: bool = False

    def step(self) -> bool:
        """Answer it, or have the answer arrive. Returns whether that is done."""
        if not self.answered:
            self.answered = True
            try:
                self.value = self.answer()
            except (Unavailable, RedisAway) as exc:
                self.value = exc
            return False
        if not self.future.done():
            if isinstance(self.value, Exception):
                self.future.set_exception(self.value)
            else:
                self.future.set_result(self.value)
        return True


class World:
    """The one task, where it is stored, told and read."""

    def __init__(self) -> None:
        self.mongo_up = self.redis_up = True
        self.redis_back = asyncio.Event()
        self.document = task(timeline=[TimelineEntry(epoch=1, n=1, at=START, attempt=0, status=TaskStatus.PENDING)])
        self.channel = stream_key(NAMESPACE, self.document.id)
        self.truth: dict[Cursor, TaskStatus] = {Cursor(1, 1): TaskStatus.PENDING}
        self.events: dict[Cursor, Event] = {Cursor(1, 1): self.document.timeline[0].event()}
        """All that was ever said."""
        self.heard_of: set[Cursor] = set()
        """What a stream took, in the order of the ids: a follower is told of it, or of a gap."""
        self.stream: dict[Cursor, Event] = {}
        self.untold: list[tuple[Cursor, Event]] = [(Cursor(1, 1), self.document.timeline[0].event())]
        self.questions: list[Question] = []
        self.pubsub: FakePubSub | None = None
        self.now = START
        self.head = Cursor(1, 1)
        self.told = TaskProgress()
        self.told_at: datetime | None = None
        self.told_as = Cursor(0, 0)

    def mend(self) -> None:
        """Have both services answer again."""
        self.mongo_up = self.redis_up = True
        self.redis_back.set()

    async def ask(self, answer: Callable[[], T]) -> T:
        """Wait until the question is answered and the answer has arrived."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.questions.append(Question(answer, future))
        return await future

    def stored(self) -> Task:
        """Read the document now."""
        if not self.mongo_up:
            raise Unavailable("MongoDB")
        return self.document

    def streamed(self, after: Cursor) -> list[tuple[Cursor, Event]]:
        """Read the stream now."""
        if not self.redis_up:
            raise RedisAway("away")
        return sorted((item for item in self.stream.items() if item[0] > after), key=lambda item: item[0])

    def change(self, cursor: Cursor, status: TaskStatus, *, attempts: int = 0, carry: bool = False) -> None:
        """Make a compare-and-set, whose event is still to be told."""
        self.now += timedelta(seconds=1)
        attempt = self.document.attempt + attempts
        entry = TimelineEntry(epoch=cursor.epoch, n=cursor.n, at=self.now, attempt=attempt, status=status)
        changes: dict[str, Any] = {"status": status, "epoch": cursor.epoch, "n": cursor.n, "attempt": attempt}
        if status is TaskStatus.RUNNING:
            self.told, self.told_at = TaskProgress(), None
        if carry or status is TaskStatus.RUNNING:
            changes |= {"progress": self.told, "progress_at": self.told_at}
        if status is TaskStatus.SUCCEEDED:
            changes |= {"result": {"done": True}}
        elif status is TaskStatus.FAILED:
            changes |= {"error": TaskFailure(code="BROKEN", message="It broke.")}
        self.document = self.document.model_copy(update={**changes, "timeline": [*self.document.timeline, entry]})
        self._said(cursor, entry.event(), status)
        self.untold.append((cursor, entry.event()))

    def _said(self, cursor: Cursor, event: Event, status: TaskStatus) -> None:
        self.head = cursor
        self.truth[cursor] = status
        self.events[cursor] = event

    def progress(self) -> tuple[Cursor, Event]:
        """Have the holder number its next progress, which is still to be told."""
        self.now += timedelta(seconds=1)
        self.told, self.told_at = TaskProgress(current=self.told.current + 1, total=100), self.now
        self.told_as = Cursor(self.head.epoch, self.head.n + 1)
        event = Progressed(self.now, self.document.attempt, self.told.current, 100)
        self._said(self.told_as, event, self.document.status)
        return self.told_as, event

    def log(self) -> tuple[Cursor, Event]:
        """Have the holder number a line, which is still to be told."""
        self.now += timedelta(seconds=1)
        cursor = Cursor(self.head.epoch, self.head.n + 1)
        event = Logged(self.now, self.document.attempt, f"line {cursor}")
        self._said(cursor, event, self.document.status)
        return cursor, event

    def save_progress(self) -> None:
        """Have the holder store its progress under the id of its event."""
        if self.told_as > self.document.cursor:
            changes = {"progress": self.told, "progress_at": self.told_at, "n": self.told_as.n}
            self.document = self.document.model_copy(update=changes)

    def tell(self, cursor: Cursor, event: Event) -> None:
        """Append and publish, where the stream takes it."""
        if self.redis_up and cursor > max(self.stream, default=Cursor(0, 0)):
            # A writer that says again, after a wipe, what it said before hides from all that more had followed.
            self.heard_of = {other for other in self.heard_of if other < cursor or other in self.stream} | {cursor}
            self.stream[cursor] = event
            if self.pubsub is not None and self.channel in self.pubsub.channels:
                self.pubsub.sent.append(("message", self.channel, encode_notice(cursor, encode_event(event))))


class FakePubSub:
    """One pub/sub connection: what the server sent waits until it is let go, in its order."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._arrived: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._closed = False
        self.channels: set[str] = set()
        self.sent: list[tuple[str, str, bytes]] = []

    async def subscribe(self, *channels: str) -> None:
        await self._reached()
        self._world.pubsub = self
        for channel in channels:
            self.channels.add(channel)
            self.sent.append(("subscribe", channel, b""))

    async def unsubscribe(self, *channels: str) -> None:
        await self._reached()
        for channel in channels:
            self.channels.discard(channel)
            self.sent.append(("unsubscribe", channel, b""))

    psubscribe = subscribe
    punsubscribe = unsubscribe

    async def ping(self) -> None:
        await self._reached()
        self._arrived.put_nowait({"type": "pong", "channel": "", "data": b""})

    async def get_message(self, timeout: float | None) -> dict[str, Any]:
        message = await self._arrived.get()
        if message is None:
            raise RedisAway("closed")
        return message

    async def aclose(self) -> None:
        if self._world.pubsub is self:
            self._world.pubsub = None

    async def _reached(self) -> None:
        """Wait while Redis is away, as a connection attempt does; one that is broken already fails."""
        if self._closed:
            raise RedisAway("closed")
        while not self._world.redis_up:
            self._world.redis_back.clear()
            await self._world.redis_back.wait()

    def arrive(self, *, again: bool = False) -> None:
        """Let the next message go; `again`: it comes once more later."""
        kind, channel, data = self.sent[0] if again else self.sent.pop(0)
        self._arrived.put_nowait({"type": kind, "channel": channel, "data": data})

    def drop(self) -> None:
        """Lose the next message, if it is one and not an answer."""
        if self.sent[0][0] == "message":
            self.sent.pop(0)

    def close(self) -> None:
        """Break the connection; what was not let go is lost."""
        self._closed = True
        self.sent.clear()
        self._arrived.put_nowait(None)


class FakeRedis:
    """Opens pub/sub connections."""

    def __init__(self, world: World) -> None:
        self._world = world

    def pubsub(self) -> FakePubSub:
        return FakePubSub(self._world)


class FakeStreams(EventStreams):
    """Reads the world's stream."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def read_many(self, wanted: Sequence[tuple[UUID, Cursor]]) -> list[list[tuple[Cursor, Event]]]:
        return await self._world.ask(lambda: [self._world.streamed(after) for _, after in wanted])


class FakeStored(StoredTasks):
    """Reads the world's document."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    async def read(self, task_id: UUID) -> Task | None:
        return await self._world.ask(self._world.stored)

    async def reread(self, known: Task) -> Task | None:
        return await self._world.ask(self._world.stored)

    async def reread_all(self, known: Sequence[Task]) -> Reread:
        stored = await self._world.ask(self._world.stored)
        return Reread({stored.id: stored}, set())

    async def moved(self, known: Mapping[UUID, Cursor]) -> Moved:
        stored = await self._world.ask(self._world.stored)
        is_later = stored.cursor > known[stored.id] or stored.status.is_terminal
        return Moved({stored.id: Position.of_task(stored)} if is_later else {}, set())
