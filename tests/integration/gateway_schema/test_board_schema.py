"""The subscription `tasksChanged` through the schema: its filter is that of `tasks`, its errors and owners, too."""

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.documents import Role, Task
from core.ids import new_id
from core.states import TaskStatus
from gateway.errors import mask
from gateway.identity.principals import Principal
from tests.integration.gateway_schema.asking import Gateway

BOARD = """
subscription ($filter: TaskFilter, $maxHz: Float) {
  tasksChanged(filter: $filter, maxHz: $maxHz) { __typename id status cursor delivery owner: kind }
}
"""
WHOLE = "subscription { tasksChanged { id inputJson ... on ProcessDataTask { result { totalProcessed } } } }"
LIST = "query ($filter: TaskFilter) { tasks(first: 100, filter: $filter) { nodes { id } } }"
TIMES = [datetime(2026, 1, day, 12, tzinfo=UTC) for day in range(1, 6)]
KINDS = ["processData", "importItems", "goneKind"]
BATCHES = [new_id(), new_id()]
ROUNDS = 25


def make_task(**fields: Any) -> Task:
    """Return a task as a worker may have left it."""
    values = {"kind": "processData", "status": TaskStatus.QUEUED, "input": {"data": "x", "iterations": 2}}
    return Task(**({"max_attempts": 3, "timeout_s": 60, **values} | fields))


@asynccontextmanager
async def outcomes(gateway: Gateway, query: str = BOARD, **variables: Any) -> AsyncIterator[AsyncIterator[Any]]:
    """Subscribe: yields what comes, each the task's data or an error's code."""
    results = await gateway.schema.subscribe(query, variable_values=variables, context_value=gateway.context)

    async def outcome() -> AsyncGenerator[Any, None]:
        async for result in results:
            for error in mask(result.errors or [], "c-1"):
                yield error["extensions"]["code"]
            if result.data:
                yield result.data["tasksChanged"]

    told = outcome()
    try:
        yield told
    finally:
        await told.aclose()
        await results.aclose()


async def comes_within(seconds: float, told: AsyncIterator[Any]) -> list[Any]:
    """Return what comes next, if anything does."""
    try:
        async with asyncio.timeout(seconds):
            return [await anext(told)]
    except TimeoutError:
        return []


async def first(count: int, told: AsyncIterator[Any]) -> list[Any]:
    """Return the next outcomes."""
    async with asyncio.timeout(10):
        return [await anext(told) for _ in range(count)]


async def code(gateway: Gateway, **variables: Any) -> Any:
    """Return the code of the error that subscribing gives."""
    async with outcomes(gateway, **variables) as told:
        return (await first(1, told))[0]


def some_filter(chance: random.Random) -> dict[str, Any]:
    """Return a filter with any of its fields, null or given."""
    given = {
        "kinds": chance.sample(KINDS, chance.randint(0, 3)),
        "statuses": [status.value for status in chance.sample(sorted(TaskStatus), chance.randint(0, 6))],
        "createdFrom": chance.choice(TIMES).isoformat(),
        "createdTo": chance.choice(TIMES).isoformat(),
        "batchId": str(chance.choice(BATCHES)),
    }
    return {name: chance.choice([value, value, None]) for name, value in given.items() if chance.random() < 0.5}


@pytest.mark.parametrize("asking", [Principal("ann"), Principal("root", Role.ADMIN)])
async def test_a_board_shows_what_the_list_shows(
    gateway: Gateway, asking: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.relay.board_slot.LOOK_BACK_S", 600.0)
    chance = random.Random(7)
    tasks = [
        make_task(
            kind=chance.choice(KINDS),
            status=chance.choice(sorted(TaskStatus)),
            created_at=chance.choice(TIMES),
            batch_id=chance.choice([*BATCHES, None]),
            owner=chance.choice(["ann", "bob"]),
        )
        for _ in range(60)
    ]
    await Task.insert_many(tasks)
    asker = gateway.by(asking)
    sizes = set()
    for _ in range(ROUNDS):
        wanted = some_filter(chance)
        listed = {node["id"] for node in (await asker.get(LIST, filter=wanted))["tasks"]["nodes"]}
        sizes.add(len(listed))
        async with outcomes(asker, filter=wanted, maxHz=60) as told:
            shown = {task["id"] for task in await first(len(listed), told)}
            assert shown == listed, wanted
            assert await comes_within(0.05, told) == []
    assert len(sizes) > 4


async def test_a_task_comes_under_its_own_type_with_what_is_asked_for(gateway: Gateway) -> None:
    done = make_task(status=TaskStatus.SUCCEEDED, result={"processed_items": [], "total_processed": 2, "rounds": 1})
    await done.insert()
    async with outcomes(gateway) as told:
        [task] = await first(1, told)
        assert (task["__typename"], task["status"], task["cursor"]) == ("ProcessDataTask", "SUCCEEDED", "1-1")
        assert task["delivery"] == "LIVE"
    async with outcomes(gateway, WHOLE) as told:
        [task] = await first(1, told)
        assert (task["inputJson"]["iterations"], task["result"]) == (2, {"totalProcessed": 2})
    assert gateway.services.relay.boards.subscribers == 0


async def test_what_cannot_be_shown_is_an_error(gateway: Gateway) -> None:
    for rate in (0, -1, 60.5):
        assert await code(gateway, maxHz=rate) == "BAD_USER_INPUT"
    assert await code(gateway, filter={"batchId": "7"}) == "BAD_USER_INPUT"
    assert await code(gateway, filter={"kinds": ["k"] * 101}) == "BAD_USER_INPUT"
    assert gateway.services.relay.boards.subscribers == 0


async def test_a_task_just_outside_a_moment_is_not_shown(gateway: Gateway) -> None:
    early, inside = [make_task(created_at=TIMES[2] + timedelta(milliseconds=step)) for step in (-1, 0)]
    await Task.insert_many([early, inside])
    async with outcomes(gateway, filter={"createdFrom": TIMES[2].isoformat()}) as told:
        assert [task["id"] for task in await first(1, told)] == [str(inside.id)]
