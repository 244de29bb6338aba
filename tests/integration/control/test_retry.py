"""Trying ended tasks again, and changing many tasks by a filter."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from core.clock import utc_now
from core.documents import Task, TaskFailure
from core.states import TERMINAL, Priority, TaskStatus
from gateway import cancel, retry
from tests.integration.control.conftest import CANCEL, RETRY, Store, claim, stored
from tests.integration.gateway_schema.asking import Gateway
from tests.integration.jobs.conftest import Launch, until, until_true

OPEN = sorted(set(TaskStatus) - TERMINAL)
CANCEL_ALL = """
mutation ($filter: TaskFilter!, $reason: String, $dryRun: Boolean) {
  cancelTasks(filter: $filter, reason: $reason, dryRun: $dryRun) { matched changed hasMore }
}
"""
RETRY_ALL = """
mutation ($filter: TaskFilter!, $dryRun: Boolean) {
  retryTasks(filter: $filter, dryRun: $dryRun) { matched changed hasMore }
}
"""


def result(matched: int, changed: int, has_more: bool = False) -> dict[str, Any]:
    """Return a BulkResult as it is answered."""
    return {"matched": matched, "changed": changed, "hasMore": has_more}


@pytest.mark.parametrize("status", sorted(TERMINAL))
async def test_retry_makes_a_new_task_of_the_same_work(gateway: Gateway, store: Store, status: TaskStatus) -> None:
    later = utc_now() + timedelta(hours=1)
    task = await store(
        status,
        priority=Priority.HIGH,
        timeout_s=7.0,
        max_attempts=5,
        idempotency_key="once",
        batch_id=uuid4(),
        deadline=later,
        result={"attempts": 1, "first_step": 0} if status is TaskStatus.SUCCEEDED else None,
    )
    answer = (await gateway.get(RETRY, id=str(task.id)))["retryTask"]
    assert answer["id"] != str(task.id)
    assert {name: answer[name] for name in ("__typename", "kind", "status", "retryOf", "inputJson", "batchId")} == {
        "__typename": "StepsTask",
        "kind": "steps",
        "status": "PENDING",
        "retryOf": str(task.id),
        "inputJson": {"steps": 3, "pauseS": 0.1},
        "batchId": None,
    }
    again = await Task.get(answer["id"])
    assert again is not None
    assert (again.priority, again.timeout_s, again.max_attempts) == (Priority.HIGH, 7.0, 5)
    assert (again.deadline, again.idempotency_key, again.result) == (later, None, None)
    await until_true(again.id, lambda stored: stored.published_at)
    assert await stored(task) == task


async def test_retry_drops_a_deadline_that_has_passed(gateway: Gateway, store: Store) -> None:
    task = await store(TaskStatus.EXPIRED, deadline=utc_now() - timedelta(seconds=1))
    assert (await gateway.get(RETRY, id=str(task.id)))["retryTask"]["deadline"] is None


@pytest.mark.parametrize("status", OPEN)
async def test_task_that_has_not_ended_is_not_retried(gateway: Gateway, store: Store, status: TaskStatus) -> None:
    task = await store(status)
    answer = await gateway.ask(RETRY, id=str(task.id))
    assert answer.code == "CONFLICT"
    assert answer.errors[0]["message"] == f"The task is {status}; only one that has ended can be retried"
    assert await Task.find_all().count() == 1


async def test_retry_of_unknown_foreign_uninstalled_or_outgrown_tasks_is_refused(
    gateway: Gateway, store: Store
) -> None:
    task = await store(TaskStatus.FAILED)
    unknown = await store(TaskStatus.FAILED, kind="gone", error=TaskFailure(code="UNKNOWN_KIND", message="no kind"))
    outgrown = await store(TaskStatus.FAILED, input={"steps": "many"})
    assert (await gateway.ask(RETRY, id=str(uuid4()))).code == "NOT_FOUND"
    assert (await gateway.of("someone else").ask(RETRY, id=str(task.id))).code == "NOT_FOUND"
    answer = await gateway.ask(RETRY, id=str(unknown.id))
    assert answer.code == "CONFLICT"
    assert "gone is not installed here" in answer.errors[0]["message"]
    assert (await gateway.ask(RETRY, id=str(outgrown.id))).code == "CONFLICT"


async def test_retried_task_runs(gateway: Gateway, store: Store, launch: Launch) -> None:
    launch("bridge")
    launch("worker")
    task = await store(TaskStatus.FAILED)
    again = (await gateway.get(RETRY, id=str(task.id)))["retryTask"]
    ended = await until((await Task.get(again["id"]) or task).id, *TERMINAL, within_s=60)
    assert (ended.status, ended.retry_of) == (TaskStatus.SUCCEEDED, task.id)


async def test_cancel_by_filter_counts_first_and_changes_what_matches(gateway: Gateway, store: Store) -> None:
    tasks = {status: await store(status) for status in TaskStatus}
    held = await store()
    assert await claim(held)
    asked = await store(TaskStatus.RUNNING, cancel_requested_at=utc_now(), cancel_reason="before")
    other = await store(kind="spin")
    foreign = await store(owner="someone else")

    variables: dict[str, Any] = {"filter": {"kinds": ["steps"]}, "reason": "all of it"}
    matched = len(OPEN) + 1
    assert (await gateway.get(CANCEL_ALL, **variables, dryRun=True))["cancelTasks"] == result(matched, 0)
    assert (await stored(tasks[TaskStatus.PENDING])).status is TaskStatus.PENDING
    assert (await gateway.get(CANCEL_ALL, **variables))["cancelTasks"] == result(matched, matched)
    assert (await gateway.get(CANCEL_ALL, **variables))["cancelTasks"] == result(0, 0)

    for status, task in tasks.items():
        after = await stored(task)
        if status.is_terminal:
            assert after == task
        else:
            is_held = status in (TaskStatus.RUNNING, TaskStatus.CANCELLING)
            assert after.status is (status if is_held else TaskStatus.CANCELLED)
            assert after.cancel_reason == "all of it"
    assert (await stored(held)).cancel_reason == "all of it"
    assert (await stored(asked)).cancel_reason == "before"
    assert await stored(other) == other
    assert await stored(foreign) == foreign


async def test_cancel_by_filter_says_that_more_remain(
    gateway: Gateway, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cancel, "BULK_LIMIT", 3)
    monkeypatch.setattr(cancel, "CHUNK", 2)
    tasks = [await store() for _ in range(5)]
    answers = [(await gateway.get(CANCEL_ALL, filter={}))["cancelTasks"] for _ in range(2)]
    assert answers == [result(5, 3, True), result(2, 2)]
    assert [(await stored(task)).status for task in tasks] == [TaskStatus.CANCELLED] * 5


async def test_claim_during_a_cancel_by_filter_turns_it_into_an_intent(
    gateway: Gateway, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting, taken = await store(), await store()
    read = cancel._read
    claims: list[bool] = []

    async def claimed_after(query: Mapping[str, Any]) -> list[Task]:
        found = await read(query)
        if not claims:
            claims.append(await claim(taken))
        return found

    monkeypatch.setattr(cancel, "_read", claimed_after)
    answer = await gateway.get(CANCEL_ALL, filter={}, reason="race")
    assert claims == [True]
    assert answer["cancelTasks"] == result(2, 2)
    assert (await stored(waiting)).status is TaskStatus.CANCELLED
    after = await stored(taken)
    assert (after.status, after.cancel_reason) == (TaskStatus.RUNNING, "race")
    assert after.cancel_requested_at is not None


async def test_cancel_by_filter_bounds_its_reason_and_its_filter(gateway: Gateway) -> None:
    assert (await gateway.ask(CANCEL_ALL, filter={}, reason="x" * 501)).code == "BAD_USER_INPUT"
    assert (await gateway.ask(CANCEL_ALL, filter={"batchId": "x"})).code == "BAD_USER_INPUT"


async def test_retry_by_filter_leaves_out_what_succeeded_and_what_was_retried(gateway: Gateway, store: Store) -> None:
    tasks = {status: await store(status) for status in TaskStatus}
    uninstalled = await store(TaskStatus.FAILED, kind="gone")
    outgrown = await store(TaskStatus.FAILED, input={"steps": "many"})
    foreign = await store(TaskStatus.FAILED, owner="someone else")
    assert (await gateway.get(RETRY_ALL, filter={}, dryRun=True))["retryTasks"] == result(4, 0)
    assert (await gateway.get(RETRY_ALL, filter={}))["retryTasks"] == result(4, 3)
    assert (await gateway.get(RETRY_ALL, filter={}))["retryTasks"] == result(1, 0)
    retries = [task async for task in Task.find({"retry_of": {"$ne": None}})]
    assert {task.retry_of for task in retries} == {
        tasks[status].id for status in (TaskStatus.FAILED, TaskStatus.CANCELLED, TaskStatus.EXPIRED)
    }
    assert {(task.status, task.owner) for task in retries} == {(TaskStatus.PENDING, "local")}
    for task in retries:
        await until_true(task.id, lambda stored: stored.published_at)
    answer = await gateway.get(RETRY_ALL, filter={"statuses": ["SUCCEEDED"]})
    assert answer["retryTasks"] == result(1, 1)
    for task in (uninstalled, outgrown, foreign):
        assert await stored(task) == task


async def test_retry_by_filter_goes_on_where_it_stopped(
    gateway: Gateway, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "BULK_LIMIT", 3)
    monkeypatch.setattr(retry, "CHUNK", 2)
    for _ in range(5):
        await store(TaskStatus.FAILED)
    answers = [(await gateway.get(RETRY_ALL, filter={}))["retryTasks"] for _ in range(2)]
    assert answers == [result(5, 3, True), result(2, 2)]
    retries = await Task.find({"retry_of": {"$ne": None}}).to_list()
    assert len({task.retry_of for task in retries}) == len(retries) == 5


async def test_cancelled_task_can_be_retried(gateway: Gateway, store: Store) -> None:
    task = await store()
    await gateway.get(CANCEL, id=str(task.id))
    assert (await gateway.get(RETRY, id=str(task.id)))["retryTask"]["retryOf"] == str(task.id)
