"""A subscriber as a real client is one: it comes back after every break, to another replica each time."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from core.events import Cursor
from core.states import Delivery, TaskStatus
from tests.faults.subscription import BREAKS, Refused, subscribe

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 2.0


class Way(StrEnum):
    """How a subscriber follows its task."""

    PROGRESS = "taskProgress"
    """The task as it stands, whenever it moves; after a break anew."""
    EVENTS = "taskEvents"
    """Every event; after a break from the last cursor on."""


QUERIES = {
    Way.PROGRESS: """subscription ($id: ID!) { taskProgress(id: $id, maxHz: 60) {
  cursor status attempt delivery progress { current message } } }""",
    Way.EVENTS: """subscription ($id: ID!, $after: String) { taskEvents(id: $id, after: $after) {
  __typename cursor attempt delivery ... on StateChanged { status }
  ... on Progressed { at progress { current message } } } }""",
}


@dataclass(frozen=True)
class Seen:
    """One `next` as it came. `connection` counts the follower's connections, from 1; `at` is the wall clock."""

    at: float
    connection: int
    cursor: Cursor
    attempt: int
    delivery: Delivery
    status: TaskStatus | None = None
    """None for an event that tells of no status."""
    current: int | None = None
    message: str | None = None
    is_gap: bool = False

    @property
    def is_end(self) -> bool:
        """Whether it tells of the task's end."""
        return self.status is not None and self.status.is_terminal


@dataclass
class Story:
    """Everything that one subscriber saw of its task."""

    task_id: str
    way: Way = Way.PROGRESS
    seen: list[Seen] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    breaks: list[tuple[float, str]] = field(default_factory=list)
    """When and why a connection that had told something ended before the task did."""
    resumed_after_s: list[float] = field(default_factory=list)
    """From a break to the first `next` on another connection, if that tells of the task or of its progress; from the
    progress on if that was made later. A change of status may have taken place long before it could be stored."""
    cut_off: str | None = None
    """Why the connection ended between the end and `complete`, if it did."""
    completed: bool = False
    is_slow: bool = False
    """Whether the reader takes its time, so that what it reads is as old as what waits before it."""

    @property
    def ended(self) -> bool:
        """Whether it saw the end."""
        return bool(self.seen) and self.seen[-1].is_end


class Follower:
    """Follows one task to its end. `sockets` are the replicas' addresses, tried in turn from the `first` on."""

    def __init__(
        self, task_id: str, sockets: Sequence[str], first: int, way: Way = Way.PROGRESS, pause_after_next_s: float = 0.0
    ) -> None:
        self.story = Story(task_id, way, is_slow=pause_after_next_s > 0)
        self.running = asyncio.Event()
        """Set once it has seen its task run."""
        self._sockets = sockets
        self._first = first
        self._pause_s = pause_after_next_s

    async def run(self) -> Story:
        """Follow until the server says that this was all, or refuses."""
        story = self.story
        async for connection in returning(lambda: len(story.seen)):
            try:
                await self._follow_once(connection)
                story.completed = True
                break
            except Refused as refused:
                story.errors.append(str(refused))
                break
            except BREAKS as exc:
                reason = f"{type(exc).__name__}: {exc}"[:200]
            if story.ended:
                story.cut_off = reason
                break
            if story.seen and story.seen[-1].connection == connection:
                story.breaks.append((time.time(), reason))
        return story

    async def _follow_once(self, connection: int) -> None:
        story = self.story
        variables: dict[str, Any] = {"id": story.task_id}
        if story.way is Way.EVENTS:
            variables["after"] = str(story.seen[-1].cursor) if story.seen else None
        address = self._sockets[(self._first + connection - 1) % len(self._sockets)]
        async with aclosing(subscribe(address, QUERIES[story.way], variables)) as answers:
            async for data in answers:
                self._note(connection, data[story.way.value])
                if self._pause_s:
                    await asyncio.sleep(self._pause_s)

    def _note(self, connection: int, told: dict[str, Any]) -> None:
        story, now = self.story, time.time()
        if story.seen and story.seen[-1].connection != connection and "progress" in told:
            made_at = datetime.fromisoformat(told["at"]).timestamp() if "at" in told else 0.0
            story.resumed_after_s.append(max(0.0, now - max(made_at, story.breaks[-1][0])))
        status = TaskStatus(told["status"]) if "status" in told else None
        if status is TaskStatus.RUNNING:
            self.running.set()
        progress = told.get("progress", {})
        story.seen.append(
            Seen(
                now,
                connection,
                Cursor.parse(told["cursor"]),
                told["attempt"],
                Delivery(told["delivery"]),
                status,
                progress.get("current"),
                progress.get("message"),
                is_gap=told.get("__typename") == "Gap",
            )
        )


async def returning(heard: Callable[[], int]) -> AsyncIterator[int]:
    """Count connections from 1 on, with pauses that double while nothing is heard, as clients' libraries do it."""
    connection, known, pause_s = 1, 0, FIRST_PAUSE_S
    while True:
        yield connection
        if heard() > known:
            known, pause_s = heard(), FIRST_PAUSE_S
        await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))
        pause_s = min(LONGEST_PAUSE_S, pause_s * 2)
        connection += 1
