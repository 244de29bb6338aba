"""Submits of the same moment share a write, and nobody pays for another's mistake."""

import asyncio
from typing import Any

from pymongo.errors import DocumentTooLarge, DuplicateKeyError

from core.clock import utc_now
from core.connections import MongoClient
from core.documents import Task, TimelineEntry
from core.states import TaskStatus
from gateway.inserts import Inserts


def new(key: str | None = None, **given: Any) -> Task:
    entry = TimelineEntry(epoch=1, n=1, at=utc_now(), attempt=0, status=TaskStatus.PENDING, by="test")
    return Task(
        kind="k",
        status=TaskStatus.PENDING,
        input=given,
        max_attempts=3,
        timeout_s=60.0,
        idempotency_key=key,
        timeline=[entry],
    )


async def test_each_of_a_batch_learns_what_became_of_its_own(mongo: MongoClient) -> None:
    inserts = Inserts()
    tasks = [new("a"), new("a"), new(), new(number=2**70), new(text="x" * 17_000_000), new("b"), new(text="\ud800")]
    outcomes = await asyncio.gather(*map(inserts.submit, tasks), return_exceptions=True)
    kinds = [None if outcome is None else type(outcome) for outcome in outcomes]
    assert kinds == [None, DuplicateKeyError, None, OverflowError, DocumentTooLarge, None, UnicodeEncodeError]
    stored = {task.id for task in await Task.find_all().to_list()}
    assert stored == {tasks[0].id, tasks[2].id, tasks[5].id}


async def test_what_is_stored_is_what_beanie_stores(mongo: MongoClient) -> None:
    ours, theirs = new("a", text="x", nested={"list": [1, None]}), new("b", text="x", nested={"list": [1, None]})
    theirs.created_at = theirs.status_at = ours.created_at = ours.status_at = utc_now()
    theirs.timeline = ours.timeline
    await Inserts().submit(ours)
    await theirs.insert()
    collection = Task.get_pymongo_collection()
    first, second = [await collection.find_one({"_id": task.id}) for task in (ours, theirs)]
    assert first is not None
    assert second is not None
    own = {"_id", "idempotency_key"}
    assert list(first) == list(second)
    assert {name: first[name] for name in first.keys() - own} == {name: second[name] for name in second.keys() - own}
