"""How often the backlog is measured where that takes long or fails, and that only the leader tells of it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

import pytest
from redis.asyncio import Redis

from core.connections import MongoClient
from core.settings import Settings
from jobs.bridge import backlog
from jobs.bridge.leader import Leadership
from jobs.metrics import BACKLOG
from jobs.queue import RunQueues

SLOW_S = 0.2


@pytest.fixture
def leadership(mongo: MongoClient, settings: Settings) -> Leadership:
    """A bridge that leads."""
    leader = Leadership(mongo[settings.mongo_database]["leases"], "test")
    leader.leads = True
    return leader


@pytest.fixture
async def asked(
    leadership: Leadership, redis: Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[list[bool]]:
    """When the backlog was measured: each time takes 0.2 s, and fails the first time."""
    asked: list[bool] = []

    async def measure(queues: RunQueues) -> None:
        asked.append(True)
        await asyncio.sleep(SLOW_S)
        if len(asked) == 1:
            raise TimeoutError
        BACKLOG.labels("HIGH").set(1)

    monkeypatch.setattr(backlog, "measure", measure)
    monkeypatch.setattr(backlog, "MEASURE_EVERY_S", 0.01)
    measuring = asyncio.create_task(
        backlog.measure_forever(leadership, RunQueues(redis, settings.namespace)), name="measuring"
    )
    yield asked
    measuring.cancel()
    await asyncio.gather(measuring, return_exceptions=True)
    BACKLOG.clear()


def told() -> Sequence[object]:
    """Return what the gauge tells of."""
    return next(iter(BACKLOG.collect())).samples


async def until(holds: Callable[[], object]) -> None:
    """Wait until the condition holds, for less than the rest after what takes 0.2 s."""
    async with asyncio.timeout(SLOW_S / backlog.SHARE / 2):
        while True:
            if holds():
                return
            await asyncio.sleep(0.01)


async def test_measuring_that_failed_is_tried_again_without_a_rest(asked: list[bool]) -> None:
    await until(lambda: len(asked) > 1)


async def test_measuring_that_takes_long_rests_in_proportion(asked: list[bool]) -> None:
    await until(told)
    await asyncio.sleep(2 * SLOW_S)
    assert len(asked) == 2


async def test_rest_has_an_end_however_long_it_took(asked: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "REST_S", 0.05)
    await until(lambda: len(asked) > 2)


async def test_bridge_that_leads_no_more_tells_nothing_though_it_rests(
    asked: list[bool], leadership: Leadership
) -> None:
    await until(told)
    leadership.leads = False
    await until(lambda: not told())
