"""Writes tasks' transitions to MongoDB: concurrent ones share two round trips; each writer learns if it won."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import BulkWriteError

from core.clock import utc_now
from core.documents import Task, TimelineEntry
from core.grouping import PAUSE_S, GroupCommit
from core.messages import TaskMessage
from core.states import HELD
from core.streams import StreamEvent
from core.telemetry import get_logger
from core.transition import Transition, for_each, operations
from core.transitions import ProgressWrite, claimed, progress_operations, queued

LEASE_S = 10.0
"""How long a claim holds without a beat."""
READ_BACK_ENTRIES = 6
"""Timeline entries read to find what was just written: others may have added to it meanwhile."""

log = get_logger(__name__)
Committed = StreamEvent | None | BulkWriteError
"""What came of one transition of a batch: its event, nothing where someone was first, or why MongoDB refused it."""


TOO_LARGE = frozenset({10334, 17419, 17420})
"""MongoDB's codes for a document that is larger than it stores, or would become so."""


class Change(NamedTuple):
    """A transition, and the attempt of its task where its writer knows that: then nothing has to be read back."""

    transition: Transition
    attempt: int | None


class Ledger:
    """One process's writes to the tasks collection, under the name `actor` (shown in timelines).

    `has_broker` says that tasks come from one.
    """

    def __init__(self, actor: str, *, has_broker: bool = False) -> None:
        self.actor = actor
        self._has_broker = has_broker
        self._commits = GroupCommit[Change, Committed](self._commit_batch, name="ledger commits", pause_s=PAUSE_S)

    @property
    def _collection(self) -> AsyncCollection[Any]:
        return Task.get_pymongo_collection()

    async def claim(self, tickets: Sequence[TaskMessage]) -> list[Task]:
        """Claim what these tickets stand for; return the tasks won. Whoever lost one drops it: it runs elsewhere.

        A claim whose answer is lost may have been won: it then ends as a dead worker's, by its lease. What comes alone
        could be updated and read by one command, but for that `secantusd-rs` reads the whole collection.
        """
        token = uuid4().hex
        until = utc_now() + timedelta(seconds=LEASE_S)

        def build(task_id: UUID, epoch: int) -> Transition:
            worker, is_published = self.actor, self._has_broker
            return claimed(task_id, epoch, worker=worker, token=token, lease_until=until, is_published=is_published)

        claims = for_each([(ticket.task_id, ticket.epoch) for ticket in tickets], build)
        await self._collection.bulk_write(operations(claims), ordered=False)
        return await Task.find({"_id": {"$in": [ticket.task_id for ticket in tickets]}, "claim": token}).to_list()

    async def mark_queued(self, tasks: Sequence[TaskMessage], *, is_repeat: bool) -> list[StreamEvent | None]:
        """Mark tasks QUEUED that are in arq's queue, as `commit_all` does."""

        def mark(task_id: UUID, epoch: int) -> Transition:
            return queued(task_id, epoch, by=self.actor, is_published=self._has_broker)

        marks = for_each([(task.task_id, task.epoch) for task in tasks], mark)
        return await self.commit_all(marks, attempt=0, is_repeat=is_repeat)  # Only what never ran is PENDING.

    async def commit(self, transition: Transition, attempt: int | None = None) -> StreamEvent | None:
        """Write a transition durably; return the event to tell, or None if someone else changed the task first.

        `attempt` is the task's, of whoever holds it. Raises PyMongoError if MongoDB does not answer or refuses it;
        repeating the same transition is safe.
        """
        committed = await self._commits.submit(Change(transition, attempt))
        if isinstance(committed, BulkWriteError):
            raise committed
        return committed

    async def commit_all(
        self, transitions: Sequence[Transition], attempt: int | None = None, *, is_repeat: bool = True
    ) -> list[StreamEvent | None]:
        """Write several in one batch; like `commit` for each, in their order. One that MongoDB refuses stays undone.

        What this may have written before, unheard of, is told as written unless `is_repeat` says that there is no such.
        """
        changes = [Change(transition, attempt) for transition in transitions]
        committed = await self._commit_batch(changes, is_repeat=is_repeat) if changes else []
        for transition, each in zip(transitions, committed, strict=True):
            if isinstance(each, BulkWriteError):
                log.error("MongoDB refuses a change", task_id=str(transition.task_id), status=transition.status.value)
        return [None if isinstance(each, BulkWriteError) else each for each in committed]

    async def _commit_batch(self, changes: list[Change], *, is_repeat: bool = True) -> list[Committed]:
        transitions = [change.transition for change in changes]
        try:
            written = await self._collection.bulk_write(operations(transitions), ordered=False)
        except BulkWriteError as exc:
            if not exc.details["writeErrors"]:
                raise
            return await self._commit_singly(transitions)
        if written.matched_count == len(changes) and (events := _known_events(changes)):
            return events
        if written.matched_count == 0 and not is_repeat:
            return [None] * len(changes)
        return await self._read_back(transitions, {})

    async def _commit_singly(self, transitions: list[Transition]) -> list[Committed]:
        """Make each change by a write of its own: one that MongoDB refuses, too large perhaps, stops no other."""
        refused: dict[int, BulkWriteError] = {}
        try:
            await self._collection.bulk_write([transition.operation() for transition in transitions], ordered=False)
        except BulkWriteError as exc:
            refused = {
                error["index"]: BulkWriteError({**exc.details, "writeErrors": [error]})
                for error in exc.details["writeErrors"]
            }
            if not refused:
                raise
        return await self._read_back(transitions, refused)

    async def _read_back(self, transitions: list[Transition], refused: Mapping[int, BulkWriteError]) -> list[Committed]:
        found = self._collection.find(
            {"_id": {"$in": [transition.task_id for transition in transitions]}},
            {"epoch": 1, "trace": 1, "timeline": {"$slice": -READ_BACK_ENTRIES}},
        )
        stored = {document["_id"]: document async for document in found}
        return [
            refused.get(index) or _event_of(transition, stored.get(transition.task_id, {}))
            for index, transition in enumerate(transitions)
        ]

    async def record_progress(self, writes: Sequence[ProgressWrite]) -> None:
        """Store the latest progress of running tasks in one bulk write. What MongoDB refuses is left out."""
        try:
            await self._collection.bulk_write(progress_operations(writes), ordered=False)
        except BulkWriteError as exc:
            if not exc.details["writeErrors"]:
                raise
            await self._record_singly(writes)

    async def _record_singly(self, writes: Sequence[ProgressWrite]) -> None:
        """Store each by a write of its own: one that MongoDB refuses, too large perhaps, stops no other."""
        try:
            await self._collection.bulk_write(progress_operations(writes, at_once=1), ordered=False)
        except BulkWriteError as exc:
            if not exc.details["writeErrors"]:
                raise
            for error in exc.details["writeErrors"]:
                log.warning(
                    "MongoDB refuses progress", task_id=str(writes[error["index"]].task_id), code=error.get("code")
                )

    async def checkpoint(self, task_id: UUID, epoch: int, state: object) -> bool:
        """Store what the next attempt starts from. Returns False if `epoch` no longer holds the task."""
        result = await self._collection.update_one(
            {"_id": task_id, "epoch": epoch, "status": {"$in": sorted(HELD)}}, {"$set": {"checkpoint": state}}
        )
        return result.matched_count == 1

    async def cancel_requests(self, task_ids: Sequence[UUID]) -> dict[UUID, str | None]:
        """Return the tasks among these whose cancel is recorded, with the reason given."""
        found = self._collection.find(
            {"_id": {"$in": list(task_ids)}, "cancel_requested_at": {"$ne": None}}, {"cancel_reason": 1}
        )
        return {document["_id"]: document.get("cancel_reason") async for document in found}

    async def aclose(self) -> None:
        """Wait for the commits under way."""
        await self._commits.aclose()


def is_too_large(refusal: BulkWriteError) -> bool:
    """Return whether repeating the write is of no use, because the document would be larger than MongoDB stores."""
    return any(error.get("code") in TOO_LARGE for error in refusal.details["writeErrors"])


def _known_events(changes: Sequence[Change]) -> list[Committed]:
    """Return the events of changes that were all made; none where an attempt is not known."""
    events: list[Committed] = []
    for transition, attempt in changes:
        if attempt is None:
            return []
        ends = transition.status.is_terminal
        events.append(StreamEvent(transition.task_id, transition.cursor, transition.event(attempt), ends))
    return events


def _event_of(transition: Transition, stored: Mapping[str, Any]) -> StreamEvent | None:
    # The id of an event and its status say whose write it was: only the holder of an epoch numbers its events, and two
    # who take a task at the same moment to the same end have written the same.
    for entry in reversed(stored.get("timeline", ())):
        if (entry["epoch"], entry["n"], entry["status"]) == (*transition.cursor, transition.status):
            event = TimelineEntry.model_validate(entry).event()
            ends = transition.status.is_terminal
            return StreamEvent(
                transition.task_id, transition.cursor, event, ends, stored.get("trace") if ends else None
            )
    return None
