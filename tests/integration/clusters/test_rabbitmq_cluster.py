"""RabbitMQ as three nodes, of which one is killed under load: nothing is lost. `make clusters` runs it."""

import asyncio
import os
from pathlib import Path

import pytest

from cli.clusters import rabbitmq_findings
from cli.findings import Level
from core.amqp_client import node_urls
from core.settings import Settings
from stack.process import Child, Guard
from tests.integration.clusters.brokers import RabbitCluster, rabbitmq_cluster
from tests.integration.clusters.load import load_on, stack_on

pytestmark = [
    pytest.mark.skipif(
        os.environ.get("HEADWAY_CLUSTERS") != "full", reason="three brokers take a minute: make clusters"
    ),
    pytest.mark.timeout(400),
]
TASKS = 600
FOLLOWED = 40


async def until_empty(cluster: RabbitCluster) -> None:
    """Wait until no queue holds a message, settled late though it was."""
    async with asyncio.timeout(60):
        while True:
            queues = await asyncio.to_thread(cluster.ask, cluster.nodes[0], "list_queues", "messages")
            if {row[0] for row in queues} == {"0"}:
                return


def leader_of(cluster: RabbitCluster) -> Child:
    """Return the node that leads the queue of normal tasks; all three have to have that queue."""
    rows = cluster.ask(cluster.nodes[0], "list_queues", "name", "leader", "members")
    [(leader, members)] = [(row[1], row[2]) for row in rows if row[0].endswith(".tasks.normal")]
    assert all(f"headway{number}@localhost" in members for number in (1, 2, 3)), members
    return cluster.nodes[int(leader.removeprefix("headway").partition("@")[0]) - 1]


async def test_each_node_is_killed_in_turn_and_nothing_is_lost(
    tmp_path: Path, process_guard: Guard, settings: Settings
) -> None:
    with rabbitmq_cluster(tmp_path / "rabbitmq", process_guard) as cluster:
        addresses = {"MONGO_URL": settings.mongo_url, "REDIS_URL": settings.redis_url, "AMQP_URL": cluster.url}
        with stack_on(addresses, tmp_path, "--bridges", "2", "--workers", "2") as stack:
            async with load_on(stack) as load:
                for killed in (await asyncio.to_thread(leader_of, cluster), *cluster.nodes):
                    followed = await load.submit(FOLLOWED, steps=5, pause_s=0.3)
                    await load.follow(followed)
                    waiting = asyncio.create_task(load.submit(TASKS // 4, steps=1, pause_s=0.02), name="submits")
                    await asyncio.sleep(0.5)  # Some are in each stage by now.
                    await asyncio.to_thread(cluster.kill, killed)
                    await waiting
                    await load.ended(within_s=90)
                    found = [finding async for finding in rabbitmq_findings(node_urls(Settings(amqp_url=cluster.url)))]
                    assert [finding.level for finding in found] == [Level.BAD]
                    assert found[0].said.startswith("2 of 3 answer; not amqp://127.0.0.1:")
                    killed.start()
                    await asyncio.to_thread(killed.await_ready)
                await until_empty(cluster)
