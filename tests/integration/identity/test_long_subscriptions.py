"""A subscription that goes on is charged again, and ends with its cursor when it can't be paid."""

from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from core.clock import utc_now
from core.documents import Task, TimelineEntry
from core.settings import Settings
from core.states import TaskStatus
from gateway.identity import meter
from tests.integration.gateway_transports.event_stream import opened
from tests.integration.identity.conftest import Serve, bearer
from tests.integration.relay.follower import log_line
from tests.integration.relay.writer import Writer

EVENTS = "subscription ($id: ID!, $after: String) { taskEvents(id: $id, after: $after) { cursor } }"
TOLD = 200


@pytest.fixture
async def task_id() -> str:
    """A task of alice's that was retried often, and has ended."""
    now = utc_now()
    task = Task(
        kind="processData", owner="alice", status=TaskStatus.FAILED, input={"data": "x"}, max_attempts=100, timeout_s=60
    )
    statuses = [TaskStatus.QUEUED] * (TOLD - 1) + [TaskStatus.FAILED]
    task.timeline = [
        TimelineEntry(epoch=epoch, n=1, at=now, attempt=epoch, status=status, by="test")
        for epoch, status in enumerate(statuses, 1)
    ]
    task.epoch, task.n, task.finished_at = TOLD, 1, now
    await task.insert()
    return str(task.id)


def check(cursors: list[str], error: dict[str, Any]) -> None:
    """The events told are the first ones without a hole, and the error says where to go on and when."""
    assert 0 < len(cursors) < TOLD
    assert cursors == [f"{epoch}-1" for epoch in range(1, len(cursors) + 1)]
    extensions = error["extensions"]
    assert (extensions["code"], extensions["cursor"]) == ("RATE_LIMITED", cursors[-1])
    assert 1 <= extensions["retryAfter"] <= 60


async def test_subscription_that_spends_the_budget_ends_with_its_cursor_and_the_socket_stays(
    serve: Serve, task_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meter, "EVERY_S", 0.0)
    edge = await serve(cost_per_minute=60)
    async with edge.session(additional_headers=bearer()) as client:
        await client.subscribe("s", EVENTS, variables={"id": task_id})
        frames = await client.read_until("error")
        cursors = [frame["payload"]["data"]["taskEvents"]["cursor"] for frame in frames[:-1]]
        check(cursors, frames[-1]["payload"][0])
        await client.send(type="ping")
        assert (await client.read())["type"] == "pong"


async def test_event_stream_that_spends_the_budget_ends_with_its_cursor(
    serve: Serve, task_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meter, "EVERY_S", 0.0)
    edge = await serve(cost_per_minute=60)
    async with httpx.AsyncClient(base_url=edge.url, trust_env=False, headers=bearer()) as http:
        asked = {"query": EVENTS, "variables": {"id": task_id}}
        async with opened(http, "POST", json=asked) as stream:
            events = await stream.read_all()
    assert events[-1] == ("complete", None)
    payloads = [data for _, data in events[:-1]]
    check([data["data"]["taskEvents"]["cursor"] for data in payloads[:-1]], payloads[-1]["errors"][0])


async def test_subscription_that_waits_for_news_is_charged_when_they_come(
    serve: Serve, settings: Settings, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meter, "EVERY_S", 0.0)
    edge = await serve(cost_per_minute=60)
    writer = await Writer.submit(redis, settings.namespace)
    await Task.get_pymongo_collection().update_one({"_id": writer.task_id}, {"$set": {"owner": "alice"}})
    async with edge.session(additional_headers=bearer()) as client:
        for ident in ("new", "planned"):
            await client.subscribe(ident, EVENTS, variables={"id": str(writer.task_id)})
            assert (await client.read())["id"] == ident
        await client.send(type="complete", id="new")
        await writer.queue()
        frames, told = [await client.read()], 2
        while frames[-1]["type"] == "next":
            told += 1
            await log_line(writer, "news")
            frames.append(await client.read())
        assert frames[-1]["id"] == "planned"
        assert frames[-1]["payload"][0]["extensions"]["cursor"] == f"1-{told - 1}"


async def test_within_its_first_minute_a_subscription_costs_what_it_cost_at_its_start(
    serve: Serve, task_id: str
) -> None:
    edge = await serve(cost_per_minute=60)
    async with edge.session(additional_headers=bearer()) as client:
        await client.subscribe("s", EVENTS, variables={"id": task_id})
        assert len(await client.read_until("complete")) == TOLD + 1
