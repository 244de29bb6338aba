"""What the board knows of tasks: those that move, and what was told last of each. Pure: no I/O."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import NamedTuple
from uuid import UUID

from core.documents import Task
from core.events import Cursor, Event, Progressed, StateChanged
from core.states import HELD, TaskStatus
from gateway.relay.fold import fold, is_next, newer
from gateway.relay.stored import Position

DOCUMENTS_LIMIT = 10_000
TOLD_LIMIT = 50_000
STALE_LIMIT = 10_000
"""Tasks that may wait to be read. What happens to others meanwhile is found by the look at what changed."""
STORED_WITH_MORE = frozenset({TaskStatus.SCHEDULED, TaskStatus.RETRYING})
"""States with which more is stored than is told: when the task is due."""


class Change(NamedTuple):
    """A task that has moved, and where it stood when it was told last, None if that is not known."""

    task: Task
    before: Position | None


@dataclass(slots=True)
class Row:
    """A task as it was read and folded, the id of its latest event, and the latest progress not folded yet."""

    task: Task | None
    heard: Cursor
    progress: tuple[Cursor, Progressed] | None = None


class BoardTasks:
    """Folds what is heard into what was read: no task is read twice unless an event is missing or does not tell all."""

    def __init__(self) -> None:
        self._rows: OrderedDict[UUID, Row] = OrderedDict()
        self._told: OrderedDict[UUID, Position] = OrderedDict()
        self._moved: dict[UUID, None] = {}
        self._stale: dict[UUID, None] = {}
        self._in_reading: set[UUID] = set()

    def hear(self, task_id: UUID, cursor: Cursor, event: Event) -> bool:
        """Take an event; return whether there is news."""
        told, row = self._told.get(task_id), self._rows.get(task_id)
        if told is not None and (told.status.is_terminal or cursor <= told.cursor):
            return False
        if row is None:
            row = self._add(task_id, Row(None, cursor))
            self.doubt(task_id)
        elif cursor <= row.heard:
            return False
        elif isinstance(event, StateChanged):
            self._hear_state(task_id, row, cursor, event)
        elif not is_next(row.heard, cursor):
            self.doubt(task_id)
        row.heard = cursor
        if isinstance(event, Progressed):
            row.progress = cursor, event
            self._moved[task_id] = None
        return True

    def _hear_state(self, task_id: UUID, row: Row, cursor: Cursor, event: StateChanged) -> None:
        task = self.known(task_id)
        is_published_since = event.status is TaskStatus.QUEUED and task is not None and task.published_at is None
        if task is None or is_published_since or event.status in STORED_WITH_MORE or not _leads_to(task, cursor):
            self.doubt(task_id)
        else:
            row.task = fold(task, cursor, event)
            self._moved[task_id] = None

    def doubt(self, task_id: UUID) -> None:
        """Have the task read again."""
        self._in_reading.discard(task_id)
        if len(self._stale) < STALE_LIMIT or task_id in self._stale:
            self._stale[task_id] = None
        else:
            self._rows.pop(task_id, None)

    @property
    def has_doubts(self) -> bool:
        """Whether there are tasks to be read."""
        return bool(self._stale)

    def take_doubtful(self, limit: int) -> list[UUID]:
        """Return some of the tasks to be read; each is to be given to `take`, `forget` or `doubt` then."""
        taken = list(islice(self._stale, limit))
        for task_id in taken:
            del self._stale[task_id]
        self._in_reading.update(taken)
        return taken

    def take(self, task: Task) -> None:
        """Take a document."""
        self._in_reading.discard(task.id)
        row = self._rows.get(task.id) or self._add(task.id, Row(None, task.cursor))
        row.task = task if row.task is None else newer(row.task, task)
        row.heard = max(row.heard, task.cursor)
        self._moved[task.id] = None

    def known(self, task_id: UUID) -> Task | None:
        """Return the document at hand, None if there is none that can be relied upon."""
        row = self._rows.get(task_id)
        return None if row is None or self._is_doubtful(task_id) else _folded(row)

    def forget(self, task_id: UUID) -> None:
        """Drop a task that is no more."""
        self._in_reading.discard(task_id)
        self._rows.pop(task_id, None)
        self._moved.pop(task_id, None)

    def is_news(self, task_id: UUID, stored: Position) -> bool:
        """Return whether a stored task is further than what was told of it."""
        return is_further(stored, self._told.get(task_id))

    def longest_still(self, limit: int) -> list[UUID]:
        """Return the known tasks that were not heard of, nor returned here, for the longest time."""
        still = list(islice(self._rows, limit))
        for task_id in still:
            self._rows.move_to_end(task_id)
        return still

    def changes(self, among: Iterable[UUID] | None = None) -> Iterator[Change]:
        """Yield which of these tasks, by default of all, have moved since they were yielded last; it counts as told.

        A task that is still to be read is left for later.
        """
        for task_id in list(self._moved if among is None else among):
            row = self._rows.get(task_id)
            if self._is_doubtful(task_id):
                continue
            self._moved.pop(task_id, None)
            if row is not None and (task := _folded(row)) is not None:
                before, now = self._told.get(task_id), Position.of_task(task)
                if is_further(now, before):
                    self._note(task_id, now)
                    yield Change(task, before)

    def _is_doubtful(self, task_id: UUID) -> bool:
        """Return whether a state may be missing: what is folded into an older one would hide it."""
        return task_id in self._stale or task_id in self._in_reading

    def _add(self, task_id: UUID, row: Row) -> Row:
        if len(self._rows) >= DOCUMENTS_LIMIT:
            self._rows.popitem(last=False)
        self._rows[task_id] = row
        return row

    def _note(self, task_id: UUID, now: Position) -> None:
        self._told[task_id] = now
        self._told.move_to_end(task_id)
        if len(self._told) > TOLD_LIMIT:
            self._told.popitem(last=False)
        if now.status.is_terminal:
            del self._rows[task_id]
        else:
            self._rows.move_to_end(task_id)


def _leads_to(task: Task, cursor: Cursor) -> bool:
    """Return whether no other event can lie between: a queued task has none before it is taken."""
    is_taken = task.status is TaskStatus.QUEUED and cursor == (task.epoch + 1, 1)
    return is_taken or is_next(task.cursor, cursor)


def is_further(now: Position, before: Position | None) -> bool:
    """Return whether this is news after what was told before: a later event, or the end."""
    if before is None:
        return True
    return not before.status.is_terminal and (now.cursor > before.cursor or now.status.is_terminal)


def _folded(row: Row) -> Task | None:
    """Return the row's document with the latest progress in it; of another epoch than the document's it is none."""
    if row.task is not None and row.progress is not None:
        cursor, event = row.progress
        row.progress = None
        if cursor.epoch == row.task.epoch and cursor > row.task.cursor and row.task.status in HELD:
            row.task = fold(row.task, cursor, event)
    return row.task


def statuses_since(task: Task, before: Position | None, joined: datetime) -> Iterable[TaskStatus]:
    """Yield the statuses that the task had from `before` on, where that is not known from the moment `joined` on."""
    if before is not None:
        yield before.status
    for entry in reversed(task.timeline):
        if before is not None and entry.cursor <= before.cursor:
            return
        yield entry.status
        if before is None and entry.at <= joined:
            return
