"""The transitions on a real server against a simple model: any writer, in any order, at any epoch."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, ClassVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from pymongo import MongoClient
from pymongo.collection import Collection

from core import transitions
from core.clock import utc_now
from core.documents import Task, TaskFailure, TaskProgress, TimelineEntry
from core.events import Cursor
from core.ids import new_id
from core.settings import Settings
from core.states import CLAIMABLE, HELD, TERMINAL, UNCLAIMED, TaskStatus
from core.transition import Transition

FAILURE = TaskFailure(code="BROKEN", message="costs $5 and $attempt")
TOLD = transitions.progress_fields(TaskProgress(current=3, message="$attempt"), None)
TELLERS = {"succeeded", "failed", "retrying", "requeued", "cancelling", "cancelled", "seized"}
REQUEUABLE = {TaskStatus.RUNNING, TaskStatus.RETRYING}
Build = Callable[[UUID, int, int], Transition]

WRITERS: dict[str, tuple[Build, set[TaskStatus] | frozenset[TaskStatus]]] = {
    "queued": (lambda i, e, n: transitions.queued(i, e, by="b"), {TaskStatus.PENDING}),
    "claimed": (
        lambda i, e, n: transitions.claimed(i, e, worker="w", token="t", lease_until=utc_now()),
        CLAIMABLE,
    ),
    "succeeded": (lambda i, e, n: transitions.succeeded(i, Cursor(e, n), by="w", result={"$a": 1}, told=TOLD), HELD),
    "failed": (
        lambda i, e, n: transitions.failed(i, Cursor(e, n), by="w", error=FAILURE, failures=1, told=TOLD),
        HELD,
    ),
    "retrying": (
        lambda i, e, n: transitions.retrying(
            i, Cursor(e, n), by="w", error=FAILURE, failures=1, run_at=utc_now(), told=TOLD
        ),
        {TaskStatus.RUNNING},
    ),
    "requeued": (lambda i, e, n: transitions.requeued(i, e, by="r", reason="$x", crashes=1, told=TOLD), REQUEUABLE),
    "due": (lambda i, e, n: transitions.due(i, e, by="r"), {TaskStatus.SCHEDULED}),
    "cancelled unclaimed": (lambda i, e, n: transitions.cancelled_unclaimed(i, e, by="g", reason="$x"), UNCLAIMED),
    "expired": (lambda i, e, n: transitions.expired(i, e, by="r"), UNCLAIMED),
    "cancelling": (
        lambda i, e, n: transitions.cancelling(i, Cursor(e, n), by="w", reason=None, told=TOLD),
        {TaskStatus.RUNNING},
    ),
    "cancelled": (
        lambda i, e, n: transitions.cancelled(i, Cursor(e, n), by="w", reason="x", error=None, told=TOLD),
        HELD,
    ),
    "seized": (
        lambda i, e, n: transitions.seized(i, e, TaskStatus.FAILED, by="r", error=FAILURE, told=TOLD),
        HELD,
    ),
}


class Transitions(RuleBasedStateMachine):
    """Writers act at the right epoch or a stale one; only a right one in an expected status may change anything."""

    # A list, since hypothesis looks for attributes on everything here and a collection has any that is asked for.
    collections: ClassVar[list[Collection[dict[str, Any]]]] = []

    @initialize(scheduled=st.booleans())
    def submit(self, scheduled: bool) -> None:
        self.status = TaskStatus.SCHEDULED if scheduled else TaskStatus.PENDING
        entry = TimelineEntry(epoch=1, n=1, at=utc_now(), attempt=0, status=self.status)
        fields = {"kind": "k", "input": {}, "max_attempts": 3, "timeout_s": 1.0, "timeline": [entry]}
        self.id = new_id()
        task = Task.model_construct(id=self.id, status=self.status, **fields)
        self.collections[-1].insert_one({**task.model_dump(exclude={"id", "revision_id"}), "_id": self.id})
        self.epoch, self.n, self.attempt, self.told = 1, 1, 0, [Cursor(1, 1)]
        self.progress: dict[str, Any] = TaskProgress().model_dump()

    @rule(name=st.sampled_from(sorted(WRITERS)), age=st.sampled_from([0, 0, 0, 1, -1]))
    def write(self, name: str, age: int) -> None:
        build, expected = WRITERS[name]
        transition = build(self.id, self.epoch - age, self.n + 1)
        result = self.collections[-1].update_one(transition.filter, transition.update)
        wins = age == 0 and self.status in expected
        assert result.modified_count == int(wins)
        if wins:
            if name == "claimed" and self.status is TaskStatus.PENDING:
                self.told.append(Cursor(self.epoch, 2))
            self.status = transition.status
            self.epoch, self.n = transition.cursor
            self.attempt += name == "claimed"
            self.told.append(transition.cursor)
            if name in TELLERS:
                self.progress = TOLD["progress"]
            elif name == "claimed":
                self.progress = TaskProgress().model_dump()

    @invariant()
    def document_is_as_the_model_says(self) -> None:
        document = self.collections[-1].find_one({"_id": self.id})
        assert document is not None
        assert (document["status"], document["epoch"], document["n"]) == (self.status, self.epoch, self.n)
        assert (document["attempt"], document["progress"]) == (self.attempt, self.progress)
        timeline = [TimelineEntry.model_validate(entry) for entry in document["timeline"]]
        assert [entry.cursor for entry in timeline] == self.told
        assert timeline[-1].attempt == self.attempt
        assert sum(entry.status in TERMINAL for entry in timeline) == (self.status in TERMINAL)
        assert (document["finished_at"] is not None) == (self.status in TERMINAL)
        assert (document["lease"] is None) == (self.status not in HELD)

    @invariant()
    def ids_rise_strictly(self) -> None:
        assert self.told == sorted(set(self.told))


@pytest.fixture
def collection(settings: Settings) -> Iterator[Collection[dict[str, Any]]]:
    client: MongoClient[dict[str, Any]] = MongoClient(settings.mongo_url, uuidRepresentation="standard", tz_aware=True)
    yield client[settings.mongo_database]["tasks"]
    client.drop_database(settings.mongo_database)
    client.close()


def test_only_the_holder_of_the_epoch_moves_a_task_and_an_end_is_final(
    collection: Collection[dict[str, Any]],
) -> None:
    Transitions.collections.append(collection)
    run_state_machine_as_test(
        Transitions,
        settings=settings(
            max_examples=40,
            stateful_step_count=15,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )


def test_lease_that_was_renewed_meanwhile_is_not_taken(collection: Collection[dict[str, Any]]) -> None:
    task_id, now = new_id(), utc_now()
    document = {"_id": task_id, "epoch": 2, "status": "RUNNING", "attempt": 1, "timeline": []}
    collection.insert_one({**document, "lease": {"worker": "w", "until": now + timedelta(seconds=5)}})
    take = transitions.requeued(task_id, 2, by="r", reason="lost", crashes=1, lease_ended_by=now)
    assert collection.update_one(take.filter, take.update).modified_count == 0
    take = transitions.requeued(task_id, 2, by="r", reason="lost", crashes=1, lease_ended_by=now + timedelta(seconds=6))
    assert collection.update_one(take.filter, take.update).modified_count == 1
