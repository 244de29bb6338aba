"""The master of Redis is killed under load: everyone follows the failover, and nothing is lost."""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.exceptions import RedisError

from cli.clusters import redis_findings
from cli.findings import Level
from core.connections import open_redis
from core.redis_client import SentinelRedis
from core.settings import Settings
from stack.process import Guard
from tests.integration.clusters.load import load_on, stack_on
from tests.integration.clusters.sentinels import RedisWithSentinel, redis_with_sentinel

IS_FULL = os.environ.get("HEADWAY_CLUSTERS") == "full"
FOLLOWED = 40 if IS_FULL else 16
TASKS = 1_200 if IS_FULL else 40
FAILOVERS = 3 if IS_FULL else 1
AT_LENGTH = ("--gateways", "1", "--bridges", "2", "--workers", "2") if IS_FULL else ()


@pytest.fixture
def redis_ha(tmp_path: Path, process_guard: Guard) -> Iterator[RedisWithSentinel]:
    """A Redis whose master this test may kill."""
    with redis_with_sentinel(tmp_path / "redis", process_guard) as running:
        yield running


async def master_port(client: SentinelRedis) -> int:
    """Return the port of whoever is the master for all that the Sentinels know."""
    return int((await client.manager.discover_master(client.master_name))[1])


async def until_replicated(client: SentinelRedis) -> None:
    """Wait until the master has a replica that has all."""
    async with asyncio.timeout(30):
        while True:
            try:
                state = await client.info("replication")
            except (RedisError, OSError):
                state = {}
            if state.get("slave0", {}).get("state") == "online":
                return
            await asyncio.sleep(0.1)


async def test_master_is_killed_and_nothing_is_lost(
    redis_ha: RedisWithSentinel, tmp_path: Path, settings: Settings
) -> None:
    addresses = {"MONGO_URL": settings.mongo_url, "AMQP_URL": settings.amqp_url, "REDIS_URL": redis_ha.url}
    client = await open_redis(Settings(redis_url=redis_ha.url))
    assert isinstance(client, SentinelRedis)
    await until_replicated(client)
    with stack_on(addresses, tmp_path, *AT_LENGTH) as stack:
        async with load_on(stack) as load:
            for _ in range(FAILOVERS):
                await until_replicated(client)
                followed = await load.submit(FOLLOWED, steps=10, pause_s=0.4)
                await load.follow(followed)
                waiting = asyncio.create_task(load.submit(TASKS // FAILOVERS, steps=2, pause_s=0.05), name="submits")
                port = await master_port(client)
                [master] = [server for server in redis_ha.servers if server.program.port == port]
                assert master.pid is not None
                os.kill(master.pid, signal.SIGKILL)
                await waiting
                await load.ended(within_s=90)
                assert await master_port(client) != port
                assert not master.running
                master.start()
            late = await load.submit(5, steps=3, pause_s=0.3)
            await load.follow(late)
            await load.ended(within_s=30)
            assert {load.deliveries[task_id] for task_id in late} == {"LIVE"}
    await client.aclose()


async def test_doctor_tells_of_sentinels_and_replicas(redis_ha: RedisWithSentinel) -> None:
    client = await open_redis(Settings(redis_url=redis_ha.url, startup_wait_s=10))
    async with asyncio.timeout(20):
        while True:
            found = [finding async for finding in redis_findings(client)]
            if [finding.level for finding in found] == [Level.OK, Level.OK]:
                break  # Sentinels learn of a replica when they ask its master, every ten seconds, or at its first word.
            await asyncio.sleep(0.2)
    assert [finding.what for finding in found] == ["Sentinel", "Redis' master"]
    redis_ha.sentinels[0].stop()
    found = [finding async for finding in redis_findings(client)]
    assert (found[0].level, found[0].said) == (Level.BAD, "2 of 3 answer")
    await client.aclose()
