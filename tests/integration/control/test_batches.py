"""Batches: submitted whole or not at all, rolled up by the database, followed to their end."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, cast
from uuid import uuid4

import pytest
from pymongo.errors import AutoReconnect

from core.documents import Batch, Task
from core.errors import BadUserInput
from core.events import Cursor
from core.ids import parse_id
from core.settings import Settings
from core.states import TaskStatus
from gateway import batch_watches
from gateway.batches import RollUp, find_batch, roll_up, submit_batch
from gateway.submit import SubmitOptions, new_task
from tests.integration.control.conftest import Store
from tests.integration.gateway_schema.asking import Gateway
from tests.integration.jobs.conftest import Launch, until_true

FIELDS = "id total ended counts { status count } percent ratePerS etaS createdAt finishedAt"
SUBMIT = f"mutation ($inputs: [SubmitTaskInput!]!) {{ submitTasks(inputs: $inputs) {{ {FIELDS} }} }}"
BATCH = f"""query ($id: ID!, $first: Int, $after: String, $filter: TaskFilter) {{
  batch(id: $id) {{ {FIELDS}
    tasks(first: $first, after: $after, filter: $filter) {{
      totalCount nodes {{ id batchId inputJson }} pageInfo {{ hasNextPage endCursor }} }} }} }}"""
FOLLOW = f"subscription ($id: ID!, $maxHz: Float) {{ batchProgress(id: $id, maxHz: $maxHz) {{ {FIELDS} }} }}"
QUICK = {"kind": "flaky", "input": {"failures": 0}}


def steps(number: int, **options: Any) -> dict[str, Any]:
    """Return the input of a task with a number of steps."""
    return {"kind": "steps", "input": {"steps": number, "pauseS": 0.1}, "options": options}


async def follow(gateway: Gateway, **variables: Any) -> AsyncGenerator[dict[str, Any], None]:
    """Yield what a subscription to a batch is told; close it."""
    stream = await gateway.schema.subscribe(FOLLOW, variable_values=variables, context_value=gateway.context)
    results = cast("AsyncGenerator[Any, None]", stream)
    try:
        async for result in results:
            assert result.errors is None
            yield result.data["batchProgress"]
    finally:
        await results.aclose()


async def test_batch_is_stored_and_told_before_it_is_answered_and_published(gateway: Gateway) -> None:
    answer = (await gateway.get(SUBMIT, inputs=[steps(number) for number in range(1, 31)]))["submitTasks"]
    assert (answer["total"], answer["ended"], answer["percent"], answer["etaS"]) == (30, 0, 0, None)
    assert answer["counts"] == [{"status": "PENDING", "count": 30}]
    assert answer["finishedAt"] is None
    tasks = await Task.find({"batch_id": parse_id(answer["id"])}).sort("+_id").to_list()
    assert [task.input["steps"] for task in tasks] == list(range(1, 31))
    for task in tasks:
        await until_true(task.id, lambda stored: stored.published_at)
    for task in (tasks[0], tasks[-1]):
        ((cursor, _),) = await gateway.services.streams.read(task.id, Cursor(0, 0))
        assert cursor == Cursor(1, 1)


async def test_batch_s_tasks_are_listed_in_order_and_by_the_filter(gateway: Gateway, store: Store) -> None:
    await store()
    made = (await gateway.get(SUBMIT, inputs=[steps(number) for number in range(1, 6)]))["submitTasks"]
    page = (await gateway.get(BATCH, id=made["id"], first=3))["batch"]["tasks"]
    assert [node["inputJson"]["steps"] for node in page["nodes"]] == [1, 2, 3]
    assert (page["totalCount"], page["pageInfo"]["hasNextPage"]) == (5, True)
    rest = (await gateway.get(BATCH, id=made["id"], first=3, after=page["pageInfo"]["endCursor"]))["batch"]["tasks"]
    assert [node["inputJson"]["steps"] for node in rest["nodes"]] == [4, 5]
    none = (await gateway.get(BATCH, id=made["id"], filter={"statuses": ["FAILED"]}))["batch"]["tasks"]
    assert none["totalCount"] == 0
    found = await gateway.get("query ($f: TaskFilter) { tasks(filter: $f) { totalCount } }", f={"batchId": made["id"]})
    assert found["tasks"]["totalCount"] == 5


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"kind": "nothing", "input": {}}, "inputs.2.kind"),
        ({"kind": "steps", "input": {"steps": "x"}}, "inputs.2.input.steps"),
        ({"kind": "processData", "input": {"data": "x", "iterations": 0}}, "inputs.2.input.iterations"),
        ({"kind": "steps", "input": 5}, "inputs.2.input"),
        (steps(1, timeoutS=-1), "inputs.2.options.timeoutS"),
        (steps(1, delayS=1, runAt="2026-01-01T00:00:00Z"), "inputs.2.options.runAt"),
        (steps(1, maxAttempts=0), "inputs.2.options.maxAttempts"),
    ],
)
async def test_one_wrong_task_names_its_index_and_nothing_is_stored(
    gateway: Gateway, wrong: dict[str, Any], field: str
) -> None:
    answer = await gateway.ask(SUBMIT, inputs=[QUICK, QUICK, wrong, QUICK])
    assert answer.code == "BAD_USER_INPUT"
    assert answer.errors[0]["extensions"]["field"] == field
    assert await Task.find_all().count() == await Batch.find_all().count() == 0


async def test_number_of_tasks_is_bounded(gateway: Gateway) -> None:
    for number in (0, 1_001):
        answer = await gateway.ask(SUBMIT, inputs=[QUICK] * number)
        assert answer.errors[0]["extensions"]["field"] == "inputs"
    assert await Task.find_all().count() == 0


async def test_used_idempotency_key_refuses_the_whole_batch(gateway: Gateway, store: Store) -> None:
    known = await store(idempotency_key="mine")
    await store(idempotency_key="theirs", owner="someone else")
    twice = await gateway.ask(SUBMIT, inputs=[steps(1, idempotencyKey="a"), QUICK, steps(2, idempotencyKey="a")])
    assert (twice.code, twice.errors[0]["extensions"]["field"]) == (
        "BAD_USER_INPUT",
        "inputs.2.options.idempotencyKey",
    )
    used = await gateway.ask(SUBMIT, inputs=[steps(1, idempotencyKey="theirs"), steps(1, idempotencyKey="mine")])
    assert (used.code, used.errors[0]["extensions"]["field"]) == ("CONFLICT", "inputs.1.options.idempotencyKey")
    assert str(known.id) in used.errors[0]["message"]
    assert await Batch.find_all().count() == 0
    assert await Task.find_all().count() == 2


def two_tasks(gateway: Gateway, batch: Batch) -> list[Task]:
    """Return two tasks of a batch, the second with an idempotency key."""
    kind = gateway.services.kinds["steps"]
    keys = (None, "mine")
    return [
        new_task(kind, {}, SubmitOptions(idempotency_key=key), owner="local", correlation_id=None, batch_id=batch.id)
        for key in keys
    ]


async def test_key_taken_at_the_same_moment_leaves_nothing_of_the_batch(
    gateway: Gateway, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = Batch(total=2)
    insert = Batch.insert

    async def taken_meanwhile(self: Batch) -> Batch:
        await store(idempotency_key="mine")
        return await insert(self)

    monkeypatch.setattr(Batch, "insert", taken_meanwhile)
    with pytest.raises(Exception, match=r"inputs\.1 stands for another task already"):
        await submit_batch(gateway.services.submitter, batch, two_tasks(gateway, batch))
    assert await Batch.find_all().count() == 0
    assert [task.idempotency_key async for task in Task.find_all()] == ["mine"]


async def test_outage_in_the_middle_leaves_nothing_of_the_batch(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = Batch(total=2)
    tasks = two_tasks(gateway, batch)

    async def half(_tasks: Any, **_options: Any) -> None:
        await tasks[0].insert()
        raise AutoReconnect("gone")

    monkeypatch.setattr(Task, "insert_many", half)
    with pytest.raises(AutoReconnect):
        await submit_batch(gateway.services.submitter, batch, tasks)
    assert await Task.find_all().count() == await Batch.find_all().count() == 0


async def test_unknown_and_foreign_batches_are_not_found(gateway: Gateway) -> None:
    made = (await gateway.get(SUBMIT, inputs=[QUICK]))["submitTasks"]
    assert (await gateway.ask(BATCH, id=str(uuid4()))).code == "NOT_FOUND"
    assert (await gateway.of("someone else").ask(BATCH, id=made["id"])).code == "NOT_FOUND"
    stranger = gateway.of("someone else")
    refused = await gateway.schema.subscribe(FOLLOW, variable_values={"id": made["id"]}, context_value=stranger.context)
    async for result in cast("AsyncGenerator[Any, None]", refused):
        assert result.errors
        assert "There is no batch" in result.errors[0].message
    assert gateway.services.batches.watched == 0


async def test_roll_up_weighs_each_status(gateway: Gateway, store: Store) -> None:
    batch = await Batch(total=5).insert()
    half = {"current": 5, "total": 10, "message": None}
    await store(TaskStatus.RUNNING, batch_id=batch.id, progress=half)
    await store(TaskStatus.RUNNING, batch_id=batch.id, progress={"current": 50, "total": 10, "message": None})
    await store(TaskStatus.RUNNING, batch_id=batch.id, progress={"current": 50, "total": None, "message": None})
    await store(TaskStatus.FAILED, batch_id=batch.id, progress=half)
    await store(TaskStatus.QUEUED, batch_id=batch.id)
    seen = (await gateway.get(BATCH, id=str(batch.id)))["batch"]
    assert seen["percent"] == pytest.approx(100 * (0.5 + 1 + 0 + 1 + 0) / 5)
    assert seen["counts"] == [
        {"status": "QUEUED", "count": 1},
        {"status": "RUNNING", "count": 3},
        {"status": "FAILED", "count": 1},
    ]
    assert (seen["ended"], seen["finishedAt"]) == (1, None)
    assert seen["ratePerS"] > 0
    assert seen["etaS"] > 0


async def test_followed_batch_gives_a_snapshot_then_changes_then_its_end(gateway: Gateway, launch: Launch) -> None:
    made = (await gateway.get(SUBMIT, inputs=[QUICK] * 3 + [steps(12), steps(18)]))["submitTasks"]
    told = []
    async with asyncio.timeout(90):
        async for seen in follow(gateway, id=made["id"]):
            told.append(seen)
            if len(told) == 1:
                assert seen["counts"] == [{"status": "PENDING", "count": 5}]
                launch("bridge")
                launch("worker")
    assert len(told) >= 3
    last = told[-1]
    assert (last["percent"], last["ended"], last["etaS"]) == (100, 5, 0)
    assert last["counts"] == [{"status": "SUCCEEDED", "count": 5}]
    assert last["finishedAt"] is not None
    assert [seen for seen in told if seen["finishedAt"]] == [last]
    ended = [seen["ended"] for seen in told]
    assert ended == sorted(ended)
    assert any(0 < seen["percent"] < 100 for seen in told)
    assert gateway.services.batches.watched == 0

    late = [seen async for seen in follow(gateway, id=made["id"])]
    assert late == [last]


async def test_followers_share_one_look_and_leave_nothing_behind(
    gateway: Gateway, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = await Batch(total=1).insert()
    task = await store(batch_id=batch.id)
    looks = 0

    async def counted(looked_at: Batch) -> RollUp:
        nonlocal looks
        looks += 1
        return await roll_up(looked_at)

    monkeypatch.setattr(batch_watches, "roll_up", counted)
    monkeypatch.setattr(batch_watches, "POLL_S", 0.05)
    watches = gateway.services.batches
    followers = [watches.follow(batch, max_hz=60) for _ in range(50)]
    first = await asyncio.gather(*(anext(follower) for follower in followers))
    assert len(set(map(id, first))) == 1
    assert (looks, watches.watched) == (1, 1)
    for follower in followers[:49]:
        await follower.aclose()
    assert watches.watched == 1
    await Task.find_one({"_id": task.id}).update_one({"$set": {"status": "CANCELLED"}})
    async with asyncio.timeout(20):
        rest = [seen async for seen in followers[49]]
    assert [seen.is_finished for seen in rest] == [True]
    assert watches.watched == 0


async def test_outage_of_mongodb_only_delays_what_a_follower_hears(
    gateway: Gateway, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = await Batch(total=1).insert()
    await store(TaskStatus.SUCCEEDED, batch_id=batch.id)
    failures = 2

    async def failing(looked_at: Batch) -> RollUp:
        nonlocal failures
        if failures:
            failures -= 1
            raise AutoReconnect("gone")
        return await roll_up(looked_at)

    monkeypatch.setattr(batch_watches, "roll_up", failing)
    monkeypatch.setattr(batch_watches, "POLL_S", 0.01)
    async with asyncio.timeout(20):
        seen = [seen async for seen in gateway.services.batches.follow(batch, max_hz=60)]
    assert [one.is_finished for one in seen] == [True]


async def test_bug_in_the_roll_up_ends_the_followers(
    gateway: Gateway, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = await Batch(total=1).insert()

    async def broken(_batch: Batch) -> RollUp:
        raise ZeroDivisionError

    monkeypatch.setattr(batch_watches, "roll_up", broken)
    with pytest.raises(ZeroDivisionError):
        await anext(gateway.services.batches.follow(batch, max_hz=1))
    assert gateway.services.batches.watched == 0


async def test_rate_of_telling_is_bounded(gateway: Gateway, settings: Settings) -> None:
    batch = await Batch(total=1).insert()
    assert (await find_batch(batch.id, {})).total == 1
    for rate in (0.0, -1.0, 61.0, float("nan")):
        with pytest.raises(BadUserInput, match="maxHz"):
            gateway.services.batches.follow(batch, max_hz=rate)
