"""One attempt as its holder knows it: the epoch, the numbering of its events, and why it is to stop."""

import asyncio
import operator
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from core.clock import utc_now
from core.documents import Task, TaskProgress
from core.events import Cursor, Logged, Progressed
from core.messages import TaskMessage
from core.streams import StreamEvent
from core.transitions import progress_fields
from jobs.pace import Pace

LOG_CHARS = 2_000
MESSAGE_CHARS = 1_000
MAX_COUNT = 2**53 - 1
"""The greatest whole number that every JSON reader keeps exactly (RFC 8259, section 6)."""
LOG_LINES_WAITING = 200
"""Log lines that may wait to be sent; the oldest are dropped."""

Said = tuple[int, int | None, str | None]


def storable(text: str, limit: int) -> str:
    """Return text as MongoDB and JSON can hold it: cut, with `?` for what is no Unicode (lone surrogates)."""
    return text[:limit].encode(errors="replace").decode()


def checked_progress(current: int, total: int | None, message: str | None) -> Said:
    """Return progress as it can be stored. Raises TypeError or ValueError if it is not a count of a total."""
    counts = (operator.index(current), None if total is None else operator.index(total))
    if not all(count is None or 0 <= count <= MAX_COUNT for count in counts):
        raise ValueError(f"progress: expected counts of at least 0 and at most {MAX_COUNT}, got {current} of {total}")
    return (*counts, None if message is None else storable(message, MESSAGE_CHARS))


class Interruption(StrEnum):
    """Why a running attempt is told to stop."""

    CANCEL = "cancel"
    TIMEOUT = "timeout"
    SHUTDOWN = "shutdown"
    FENCED = "fenced"


class Attempt:
    """A claimed task. Only the event loop of its worker touches it, but for `say_progress` and `say_log`.

    `trace` is what its span goes on from: that which came with its ticket, else the task's own.
    """

    def __init__(self, task: Task, on_news: Callable[["Attempt"], None], trace: str | None = None) -> None:
        self.task = task
        self.trace = trace or task.trace
        self.epoch = task.epoch
        self.ticket = TaskMessage(task.id, task.epoch - 1).ticket
        self.interruption: Interruption | None = None
        self.interrupted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.overdue_at = time.monotonic() + task.timeout_s
        self.is_writing_state = False
        self.pace = Pace()
        self._n = task.n
        self._on_news = on_news
        self._progress = task.progress
        self._progress_at: datetime | None = None
        self._news: Said | None = None
        self._lines: deque[str] = deque(maxlen=LOG_LINES_WAITING)
        self._thread = threading.get_ident()
        self._loop = asyncio.get_running_loop()

    @property
    def task_id(self) -> UUID:
        """The task's id."""
        return self.task.id

    def claimed(self) -> list[StreamEvent]:
        """Return the events that its claim stored: that it is queued, if nobody had said so, and that it runs."""
        *_, runs = timeline = self.task.timeline[-2:]
        stored = [entry for entry in timeline if entry is runs or (entry.n, entry.by) == (2, runs.by)]
        return [StreamEvent(self.task_id, entry.cursor, entry.event()) for entry in stored]

    def interrupt(self, why: Interruption) -> None:
        """Ask the attempt to stop; the first reason stands, but a lost epoch overrides every other."""
        if self.interruption is None or why is Interruption.FENCED:
            self.interruption = why
            if not self.interrupted.done():
                self.interrupted.set_result(None)

    def cancel(self, reason: str | None) -> None:
        """Ask the attempt to stop because its client wants it cancelled."""
        self.task.cancel_reason = reason
        self.interrupt(Interruption.CANCEL)

    def reserve(self) -> Cursor:
        """Return the id of the next event."""
        self._n += 1
        return Cursor(self.epoch, self._n)

    def say_progress(self, current: int, total: int | None, message: str | None) -> None:
        """Note the latest progress, from any thread. Raises TypeError or ValueError as `checked_progress` does."""
        said = checked_progress(current, total, message)
        announced = self._news is not None
        self._news = said
        if not announced:
            self._announce()

    def say_log(self, text: str) -> None:
        """Note a line for followers, from any thread."""
        self._lines.append(storable(text, LOG_CHARS))
        self._announce()

    def _announce(self) -> None:
        if threading.get_ident() == self._thread:
            self._on_news(self)
        else:
            self._loop.call_soon_threadsafe(self._on_news, self)

    def take_news(self) -> list[StreamEvent]:
        """Return what was said since the last call as events: lines in their order, then the latest progress."""
        number = self.task.attempt
        events = []
        while self._lines:
            logged = Logged(at=utc_now(), attempt=number, text=self._lines.popleft())
            events.append(StreamEvent(self.task_id, self.reserve(), logged))
        if self._news is not None:
            current, total, message = self._news
            self._news = None
            now = utc_now()
            self._progress = TaskProgress(current=current, total=total, message=message)
            self._progress_at = now
            progressed = Progressed(at=now, attempt=number, current=current, total=total, message=message)
            events.append(StreamEvent(self.task_id, self.reserve(), progressed))
        return events

    def told(self) -> dict[str, Any]:
        """Return the document's fields for the progress told so far."""
        return progress_fields(self._progress, self._progress_at)
