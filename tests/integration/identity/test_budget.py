"""The budget on a real Redis, and without one."""

import asyncio
import time

import pytest
from prometheus_client import REGISTRY
from redis.asyncio import Redis

from core.errors import RateLimited
from core.settings import Settings
from gateway.identity.budget import PAUSE_S, CostBudget
from stack.process import free_port


def counted(name: str) -> float:
    """Return a counter's present value."""
    return REGISTRY.get_sample_value(f"headway_{name}_total") or 0.0


async def test_replicas_share_an_owner_s_minute(redis: Redis, settings: Settings) -> None:
    one, other = (CostBudget(redis, settings.namespace, 100) for _ in range(2))
    before = counted("budget_refusals")
    await one.charge("alice", 60)
    await other.charge("alice", 40)
    for budget in (one, other):
        with pytest.raises(RateLimited) as refused:
            await budget.charge("alice", 1)
        assert 50 <= refused.value.retry_after_s <= 60
    await one.charge("bob", 100)
    assert counted("budget_refusals") == before + 2


async def test_operation_dearer_than_the_budget_takes_all_of_it(redis: Redis, settings: Settings) -> None:
    budget = CostBudget(redis, settings.namespace, 10)
    await budget.charge("alice", 5_000)
    with pytest.raises(RateLimited):
        await budget.charge("alice", 1)


async def test_redis_that_forgot_its_scripts_is_taught_them_again(redis: Redis, settings: Settings) -> None:
    budget = CostBudget(redis, settings.namespace, 10)
    await budget.charge("alice", 1)
    failures = counted("budget_failures")
    await redis.script_flush()
    await budget.charge("alice", 9)
    with pytest.raises(RateLimited):
        await budget.charge("alice", 1)
    assert counted("budget_failures") == failures


async def test_without_redis_all_run_uncharged_are_counted_and_wait_for_nothing() -> None:
    client = Redis(host="127.0.0.1", port=free_port())
    budget = CostBudget(client, "nowhere", 1)
    before, started = counted("budget_failures"), time.monotonic()
    for _ in range(200):
        await budget.charge("alice", 1)
    assert counted("budget_failures") == before + 200
    assert time.monotonic() - started < PAUSE_S
    await client.aclose()


async def test_redis_that_hangs_holds_operations_up_once() -> None:
    hanging: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: hanging.append(writer), "127.0.0.1", 0)
    client = Redis(host="127.0.0.1", port=server.sockets[0].getsockname()[1])
    budget = CostBudget(client, "nowhere", 1)
    started = time.monotonic()
    for _ in range(50):
        await budget.charge("alice", 1)
    assert time.monotonic() - started < PAUSE_S
    await client.aclose()
    for writer in hanging:
        writer.close()
    server.close()
    await server.wait_closed()
