"""The short form: three faults under a load of a hundred tasks and every promise kept."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.faults.run import run_scenario
from tests.faults.world import World, running_world

TAKEOVER_S, RESUME_S = 15.0, 5.0
"""Takeover as promised; coming back far looser than measured, because a test machine may be busy."""
IN_FLIGHT = 20
"""More than so many when the fault comes; where submits are slow, many have ended by then."""


@pytest_asyncio.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """Two of everything, for these tests alone."""
    async with running_world(tmp_path_factory.mktemp("faults")) as world:
        yield world


@pytest.mark.parametrize("name", ["worker_killed", "gateway_killed", "redis_emptied"])
async def test_fault_loses_nothing_and_tells_every_subscriber_one_end(world: World, name: str) -> None:
    row = await run_scenario(world, name, tasks=100, followers=40)

    assert row.verdict.broken == []
    assert row.in_flight > IN_FLIGHT
    if name == "worker_killed":
        assert row.detected_s is not None
        assert row.detected_s < TAKEOVER_S
    if name == "gateway_killed":
        assert row.verdict.hearing.resume_s
        assert max(row.verdict.hearing.resume_s) < RESUME_S
