"""What is known of a task's events: the stream's, the states on its timeline, and where something is missing. Pure."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from core.clock import utc_now
from core.documents import Task, TimelineEntry
from core.events import Cursor, Event, Progressed, StateChanged
from core.states import HELD, Delivery
from gateway.relay.fold import is_next

RECENT_LIMIT = 128
"""Events kept for the followers of a task; who is further behind reads the stream."""
ON_THE_WAY = timedelta(seconds=1)
"""An older event whose predecessors are not in the stream has none on their way to it."""
BEFORE_ALL = Cursor(0, 0)


@dataclass(frozen=True, slots=True)
class Gap:
    """What is missing, or may be, lies between the events `after` and `before`. `at` is when that was noticed."""

    at: datetime
    attempt: int
    after: Cursor
    before: Cursor


Entry = tuple[Cursor, Event | Gap]


class Told(msgspec.Struct, frozen=True):
    """An event under its id, or a gap under an id that lies in it, and how it came.

    Followers are handed the same object, so that what is made of it can be made once for all.
    """

    cursor: Cursor
    event: Event | Gap
    delivery: Delivery


@dataclass(frozen=True, slots=True)
class Sources:
    """What was read to tell of a task: its stream first, its document afterwards, so that this knows every state of it.

    `streamed` is None if Redis did not answer, `task` if MongoDB did not. `read_at` is before both.
    """

    task: Task | None
    streamed: Sequence[tuple[Cursor, Event]] | None
    read_at: datetime

    def after(self, last: Cursor, waited_for: Cursor) -> tuple[list[Entry], Cursor | None]:
        """Return the events after `last`, with a Gap wherever one that was told may be missing, and what has to wait.

        Without a document anything waits that does not follow directly, because a state may be hidden before it. What
        is newer than the stream waits if events before it may have been on their way when the stream was read; not if
        it is old, or no later than `waited_for`, because then they should be there by now.
        """
        streamed = dict(self.streamed or ())
        arrived = max(max(streamed, default=BEFORE_ALL), waited_for)
        entries: list[Entry] = []
        for cursor, event in self._merged(streamed, last):
            if not is_next(last, cursor):
                if self.task is None:
                    return entries, cursor
                opens = cursor == (last.epoch + 1, 1)
                if not (opens and not _was_held(self.task.timeline, last)):
                    if not (self.streamed is None or cursor <= arrived or event.at < self.read_at - ON_THE_WAY):
                        return entries, cursor
                    if not (opens and last in streamed):
                        gap = Gap(at=utc_now(), attempt=event.attempt, after=last, before=cursor)
                        entries.append((Cursor(cursor.epoch, cursor.n - 1), gap))
            entries.append((cursor, event))
            last = cursor
        return entries, None

    def _merged(self, streamed: Mapping[Cursor, Event], last: Cursor) -> list[tuple[Cursor, Event]]:
        known = dict(streamed)
        if self.task is not None:
            timeline = self.task.timeline
            known = {cursor: event for cursor, event in known.items() if not _is_stale(timeline, cursor, event)}
            known |= {entry.cursor: entry.event() for entry in timeline}
            if self.task.cursor not in known:
                known[self.task.cursor] = _stored_progress(self.task)
        return sorted((item for item in known.items() if item[0] > last), key=lambda item: item[0])


def _was_held(timeline: Sequence[TimelineEntry], last: Cursor) -> bool:
    """Return whether a worker held the task at `last`, which may then have told more than states; True if unknown."""
    place = bisect_right(timeline, last, key=lambda entry: entry.cursor)
    return timeline[place - 1].status in HELD if place else last != BEFORE_ALL


def _is_stale(timeline: Sequence[TimelineEntry], cursor: Cursor, event: Event) -> bool:
    """Return whether its writer had lost the task when it said so; after a wipe a stream takes such an event."""
    place = bisect_right(timeline, cursor.epoch, key=lambda entry: entry.epoch)
    return place < len(timeline) and not isinstance(event, StateChanged) and event.at > timeline[place].at


def _stored_progress(task: Task) -> Progressed:
    """Return the event that the document's id and progress came from; every other id of a document is a state's."""
    told = task.progress
    return Progressed(
        at=task.progress_at or task.status_at,
        attempt=task.attempt,
        current=told.current,
        total=told.total,
        message=told.message,
    )


class Recent:
    """The latest events of a watched task, without a hole; what is further back has to be read."""

    def __init__(self, since: Cursor) -> None:
        self._since = since
        self._events: list[Told] = []

    def add(self, told: Told) -> None:
        """Keep an event that directly follows what is known."""
        self._events.append(told)
        if len(self._events) > RECENT_LIMIT:
            self._since = self._events.pop(0).cursor

    def restart(self, cursor: Cursor) -> None:
        """Forget all: the task has moved on to `cursor`, and nobody needs, or nobody knows, every event on the way."""
        self._events.clear()
        self._since = cursor

    def after(self, last: Cursor) -> list[Told] | None:
        """Return the events after `last`, None if it is further back than what is kept."""
        if last < self._since:
            return None
        return self._events[bisect_right(self._events, last, key=lambda told: told.cursor) :]
