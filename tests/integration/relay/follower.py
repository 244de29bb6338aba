"""A follower of every event of a task: what it was told, and what every follower is promised."""

from collections.abc import Sequence
from contextlib import aclosing
from itertools import pairwise
from uuid import UUID

from core.clock import utc_now
from core.events import Cursor, Logged, Progressed, StateChanged
from core.states import Delivery
from gateway.relay import Relay
from gateway.relay.history import BEFORE_ALL, Gap, Told
from tests.integration.relay.conftest import eventually
from tests.integration.relay.writer import Writer


class Seen(list[Told]):
    """What a follower of all events got so far."""

    async def collect(self, relay: Relay, task_id: UUID, after: Cursor = BEFORE_ALL, most: int = 10_000) -> "Seen":
        """Follow the task to its end, or until there are so many events."""
        events = relay.follow_events(task_id, after=after, may_see="local".__eq__)
        async with aclosing(events) as told:
            async for event in told:
                self.append(event)
                if len(self) == most:
                    break
        return self

    @property
    def words(self) -> list[str]:
        """The events in short: states by name, progress by number, log lines by their text, gaps as `gap`."""
        return [word(told) for told in self]

    async def until(self, last: str, within_s: float = 8.0) -> None:
        """Wait until the latest event is such."""
        await eventually(lambda: self.words[-1:] == [last], within_s)


def word(told: Told) -> str:
    match told.event:
        case StateChanged(status=status):
            return status.value
        case Progressed(current=current):
            return str(current)
        case Logged(text=text):
            return text
    return "gap"


async def collected(relay: Relay, task_id: UUID, after: Cursor = BEFORE_ALL, most: int = 10_000) -> Seen:
    """Return what a follower gets."""
    return await Seen().collect(relay, task_id, after, most)


def check(seen: Sequence[Told], after: Cursor = BEFORE_ALL) -> None:
    """Check what every follower is promised: rising ids, each hole told of as a Gap, one end."""
    last = Told(after, Logged(utc_now(), 0, "where it began"), Delivery.LIVE)
    for earlier, later in pairwise([last, *seen]):
        assert earlier.cursor < later.cursor
        if isinstance(later.event, Gap):
            assert (later.event.after, later.event.before.n) == (earlier.cursor, later.cursor.n + 1)
        elif later.cursor.epoch == earlier.cursor.epoch:
            assert later.cursor.n == earlier.cursor.n + 1
        else:
            assert later.cursor == (earlier.cursor.epoch + 1, 1)
    ends = [isinstance(told.event, StateChanged) and told.event.status.is_terminal for told in seen]
    assert ends == [False] * (len(seen) - 1) + [True]


async def log_line(writer: Writer, text: str) -> None:
    """Say something."""
    writer.cursor = writer.next
    await writer.append(writer.cursor, Logged(at=utc_now(), attempt=writer.attempt, text=text))


async def run(writer: Writer, steps: int = 3) -> None:
    """Move a task from its submit to a success."""
    await writer.queue()
    await writer.claim()
    for current in range(steps):
        await writer.progress(current)
        await log_line(writer, f"line {current}")
    await writer.succeed()


WHOLE = ["PENDING", "QUEUED", "RUNNING", "0", "line 0", "1", "line 1", "2", "line 2", "SUCCEEDED"]
