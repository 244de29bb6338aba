"""What becomes of each transition of a batch: those that share a write, and those that MongoDB refuses."""

import asyncio
from datetime import timedelta
from random import shuffle
from typing import Any

import pytest
from bson import encode
from pymongo.errors import BulkWriteError

from core.clock import utc_now
from core.connections import MongoClient
from core.documents import Task, TaskFailure, TaskProgress, TimelineEntry
from core.events import Cursor, encode_event
from core.messages import TaskMessage
from core.states import TaskStatus
from core.transition import Transition, operations
from core.transitions import ProgressWrite, failed, progress_fields, succeeded
from jobs.attempt import Attempt
from jobs.ledger import Ledger, is_too_large
from tests.integration.jobs.conftest import Launch, Submit, until

MAX_DOCUMENT_BYTES = 16 * 1024 * 1024
ERROR = TaskFailure(code="BROKEN", message="it broke")


async def test_write_that_is_refused_stops_no_other_of_its_batch(mongo: MongoClient) -> None:
    fields: dict[str, Any] = {
        "kind": "k",
        "status": TaskStatus.RUNNING,
        "max_attempts": 3,
        "timeout_s": 60.0,
        "epoch": 2,
    }
    large = await Task(input={"text": "x" * 9_000_000}, **fields).insert()
    small = await Task(input={}, **fields).insert()
    result = {"text": "y" * 8_000_000}  # Together more than the 16 MB that a document may have.
    ends = [
        succeeded(task.id, Cursor(2, 2), by="test", result=given, told={})
        for task, given in ((large, result), (small, {}))
    ]
    ledger = Ledger("test")
    refused, event = await asyncio.gather(*map(ledger.commit, ends), return_exceptions=True)
    assert isinstance(refused, BulkWriteError)
    assert event is not None
    assert not isinstance(event, BaseException)
    assert event.cursor == Cursor(2, 2)
    assert is_too_large(refused)
    assert await ledger.commit_all(ends) == [None, event]
    await ledger.aclose()
    stored = await Task.get(small.id)
    assert stored is not None
    assert stored.status is TaskStatus.SUCCEEDED


async def test_end_that_mongodb_can_not_hold_fails_its_task_and_no_other(launch: Launch, submit: Submit) -> None:
    launch("bridge")
    launch("worker", HEADWAY_KIND_MODULES="tests.fault_kinds")
    large = await submit("bulky", {"text": "x" * 9_000_000})
    small = await submit("bulky", {})
    failed = await until(large.id, TaskStatus.FAILED, TaskStatus.SUCCEEDED)
    assert failed.error is not None
    assert (failed.status, failed.error.code, failed.attempt) == (TaskStatus.FAILED, "BAD_RESULT", 1)
    assert (await until(small.id, TaskStatus.FAILED, TaskStatus.SUCCEEDED)).status is TaskStatus.SUCCEEDED


async def running(epoch: int = 2, text: str = "") -> Task:
    entry = TimelineEntry(epoch=epoch, n=1, at=utc_now(), attempt=1, status=TaskStatus.RUNNING)
    return await Task(
        kind="k",
        status=TaskStatus.RUNNING,
        max_attempts=3,
        timeout_s=60.0,
        epoch=epoch,
        attempt=1,
        input={"text": text, "$set": {"a.b": "$status"}},
        timeline=[entry],
    ).insert()


def ended(task: Task, epoch: int = 2, **result: Any) -> Transition:
    return succeeded(task.id, Cursor(epoch, 2), by="test", result=result, told={"progress_at": utc_now()})


@pytest.mark.parametrize("attempt", [1, None])
async def test_changes_that_share_a_write_are_each_made_once_and_told(mongo: MongoClient, attempt: int | None) -> None:
    tasks = [await running() for _ in range(7)]
    shuffle(tasks)
    lost = await running(epoch=3)
    ends = [ended(task, number=number, text="$status") for number, task in enumerate(tasks)]
    ledger = Ledger("test")
    events = await ledger.commit_all([*ends, ended(lost)], attempt)
    assert events[-1] is None
    again = await ledger.commit_all(ends, attempt)
    assert again == events[:-1]
    assert await ledger.commit_all(ends, attempt, is_repeat=False) == [None] * len(ends)
    for number, (task, event) in enumerate(zip(tasks, events, strict=False)):
        stored = await Task.get(task.id)
        assert stored is not None
        assert stored.status is TaskStatus.SUCCEEDED
        assert stored.result == {"number": number, "text": "$status"}
        assert (stored.input, stored.created_at, stored.attempt) == (task.input, task.created_at, 1)
        assert [entry.status for entry in stored.timeline] == [TaskStatus.RUNNING, TaskStatus.SUCCEEDED]
        assert event is not None
        assert (event.cursor, event.event, event.ends) == (Cursor(2, 2), stored.timeline[-1].event(), True)
    untouched = await Task.get(lost.id)
    assert untouched is not None
    assert (untouched.status, len(untouched.timeline)) == (TaskStatus.RUNNING, 1)


async def test_event_of_a_known_attempt_is_the_one_that_is_stored(mongo: MongoClient) -> None:
    tasks = [await running() for _ in range(2)]
    ledger = Ledger("test")
    ends = [ended(tasks[0]), failed(tasks[1].id, Cursor(2, 2), by="w", error=ERROR, failures=1, told={})]
    for end, event in zip(ends, await ledger.commit_all(ends, 1), strict=True):
        stored = await Task.get(end.task_id)
        assert stored is not None
        assert event is not None
        assert event.event == stored.timeline[-1].event()
        assert encode_event(event.event) == encode_event(stored.timeline[-1].event())


async def test_refusal_within_a_shared_write_stops_no_other_change(mongo: MongoClient) -> None:
    large = await running(text="x" * 16_500_000)
    tasks = [await running(), large, await running()]
    ends = [ended(task, text="y" * 300_000) for task in tasks]
    assert len(operations(ends)) == 1
    ledger = Ledger("test")
    first, refused, last = await asyncio.gather(*map(ledger.commit, ends), return_exceptions=True)
    assert isinstance(refused, BulkWriteError)
    assert is_too_large(refused)
    for event in (first, last):
        assert not isinstance(event, BaseException)
        assert event is not None
    assert await Task.find({"status": "SUCCEEDED"}).count() == 2


async def test_claims_that_share_a_write_each_count_their_own_attempts(mongo: MongoClient) -> None:
    tasks = [
        await Task(
            kind="k", status=TaskStatus.QUEUED, max_attempts=9, timeout_s=60.0, epoch=epoch, attempt=attempt, input={}
        ).insert()
        for attempt, epoch in enumerate((1, 1, 2, 1))
    ]
    await Task.find({"_id": tasks[3].id}).update({"$set": {"status": TaskStatus.RUNNING}})
    won = await Ledger("test").claim([TaskMessage(task.id, task.epoch) for task in tasks])
    assert {task.id: (task.epoch, task.attempt) for task in won} == {
        task.id: (task.epoch + 1, task.attempt + 1) for task in tasks[:3]
    }
    assert [[(entry.attempt, entry.status) for entry in task.timeline] for task in sorted(won, key=lambda t: t.id)] == [
        [(number, TaskStatus.RUNNING)] for number in (1, 2, 3)
    ]


@pytest.mark.parametrize("count", [1, 2])
async def test_claim_of_one_alone_is_that_of_one_among_others(mongo: MongoClient, count: int) -> None:
    tasks = [
        await Task(
            kind="k", status=TaskStatus.PENDING, max_attempts=3, timeout_s=60.0, input={"number": number}
        ).insert()
        for number in range(count)
    ]
    ledger = Ledger("test", has_broker=True)
    tickets = [TaskMessage(task.id, 1) for task in tasks]
    won = sorted(await ledger.claim(tickets), key=lambda task: task.id)
    assert won == [await Task.get(task.id) for task in tasks]
    assert [(task.status, task.epoch, task.attempt, task.input) for task in won] == [
        (TaskStatus.RUNNING, 2, 1, {"number": number}) for number in range(count)
    ]
    assert await ledger.claim(tickets) == []


@pytest.mark.parametrize("count", [1, 2])
async def test_claim_ahead_of_the_mark_stores_and_tells_that_the_task_was_queued(
    mongo: MongoClient, count: int
) -> None:
    fields: dict[str, Any] = {"kind": "k", "max_attempts": 3, "timeout_s": 60.0, "input": {}}
    early = [await Task(status=TaskStatus.PENDING, **fields).insert() for _ in range(count)]
    marked = [await Task(status=TaskStatus.PENDING, **fields).insert() for _ in range(count)]
    bridge, worker = Ledger("bridge"), Ledger("worker")
    assert all(await bridge.mark_queued([TaskMessage(task.id, 1) for task in marked], is_repeat=False))
    for tasks, by, told in ((early, "worker", 2), (marked, "bridge", 1)):
        tickets = [TaskMessage(task.id, 1) for task in tasks]
        won = await worker.claim(tickets)
        assert len(won) == count
        assert await bridge.mark_queued(tickets, is_repeat=False) == [None] * count
        for task in won:
            entries = [(entry.cursor, entry.status, entry.by, entry.attempt) for entry in task.timeline]
            assert entries == [
                (Cursor(1, 2), TaskStatus.QUEUED, by, 0),
                (Cursor(2, 1), TaskStatus.RUNNING, "worker", 1),
            ]
            events = Attempt(task, lambda _: None).claimed()
            assert [(event.cursor, event.event) for event in events] == [
                (entry.cursor, entry.event()) for entry in task.timeline[-told:]
            ]


async def test_what_came_from_a_broker_is_noted_as_published_unless_that_is_known(mongo: MongoClient) -> None:
    known = utc_now() - timedelta(seconds=5)
    fields: dict[str, Any] = {"kind": "k", "status": TaskStatus.PENDING, "max_attempts": 3, "timeout_s": 60.0}
    before = utc_now()
    for has_broker in (True, False):
        ledger = Ledger("test", has_broker=has_broker)
        tasks = [await Task(input={}, published_at=at, **fields).insert() for at in (known, None, known, None)]
        tickets = [TaskMessage(task.id, 1) for task in tasks]
        assert all(await ledger.mark_queued(tickets[:2], is_repeat=False))
        assert len(await ledger.claim(tickets[2:])) == 2
        for task in tasks:
            stored = await Task.get(task.id)
            assert stored is not None
            if task.published_at is not None:
                assert stored.published_at == task.published_at
            elif has_broker:
                assert stored.published_at is not None
                assert stored.published_at >= before - timedelta(milliseconds=1)
            else:
                assert stored.published_at is None


async def test_progress_of_many_is_stored_but_never_that_of_an_older_event_or_epoch_or_of_an_ended_task(
    mongo: MongoClient,
) -> None:
    tasks = [await running() for _ in range(6)]
    later, taken, over = tasks[3:]
    collection = Task.get_pymongo_collection()
    await collection.update_one({"_id": later.id}, {"$set": {"n": 7}})
    await collection.update_one({"_id": taken.id}, {"$set": {"epoch": 3}})
    await collection.update_one({"_id": over.id}, {"$set": {"status": "SUCCEEDED"}})
    before = {task.id: await collection.find_one({"_id": task.id}) for task in (later, taken, over)}
    at = utc_now()
    writes = [
        ProgressWrite(task.id, Cursor(2, 5 + number), progress_fields(TaskProgress(current=number, message="$n"), at))
        for number, task in enumerate(tasks)
    ]
    writes[3] = writes[3]._replace(cursor=Cursor(2, 7))
    shuffle(writes)
    await Ledger("test").record_progress(writes)
    for number, task in enumerate(tasks[:3]):
        stored = await Task.get(task.id)
        assert stored is not None
        assert (stored.n, stored.progress) == (5 + number, TaskProgress(current=number, message="$n"))
        assert stored == task.model_copy(
            update={"n": 5 + number, "progress": stored.progress, "progress_at": stored.progress_at}
        )
    assert {ident: await collection.find_one({"_id": ident}) for ident in before} == before


async def test_progress_that_is_refused_stops_no_other_and_is_left_out(mongo: MongoClient) -> None:
    collection = Task.get_pymongo_collection()
    full = await running()
    stored = await collection.find_one({"_id": full.id})
    assert stored is not None
    text = "x" * (MAX_DOCUMENT_BYTES - len(encode(stored, codec_options=collection.codec_options)) - 1_000)
    await collection.update_one({"_id": full.id}, {"$set": {"input.text": text}})
    tasks = [await running(), full, await running()]
    progress = progress_fields(TaskProgress(current=1, message="é" * 1_000), utc_now())
    await Ledger("test").record_progress([ProgressWrite(task.id, Cursor(2, 5), progress) for task in tasks])
    found = [await collection.find_one({"_id": task.id}, {"n": 1}) for task in tasks]
    assert [document and document["n"] for document in found] == [5, full.n, 5]
