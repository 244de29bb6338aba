"""What a bridge and a worker tell their operators over HTTP."""

import asyncio
from collections.abc import Callable

import aio_pika
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from core.connections import open_amqp
from core.messages import queue_name
from core.settings import Settings
from core.states import Priority, TaskStatus
from stack.process import free_port
from tests.integration.jobs.conftest import Launch, Submit, until

pytestmark = pytest.mark.timeout(180)  # On a busy machine a process takes half a minute to start.
KINDS = {"HEADWAY_KIND_MODULES": "tests.fault_kinds"}
Values = dict[tuple[str, frozenset[str]], float]


def launch_measured(launch: Launch, role: str, **extra: str) -> str:
    """Start a process with a port for its metrics; return its address."""
    port = free_port()
    launch(role, HEADWAY_METRICS_PORT=str(port), **extra)
    return f"http://127.0.0.1:{port}"


async def values_of(url: str) -> Values:
    """Return each sample's value by its name and the values of its labels."""
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{url}/metrics")
    assert answer.status_code == 200
    families = text_string_to_metric_families(answer.text)
    return {(s.name, frozenset(s.labels.values())): s.value for family in families for s in family.samples}


async def until_told(url: str, holds: Callable[[Values], bool], within_s: float = 60.0) -> Values:
    """Return what a process tells once the condition holds for it."""
    values: Values = {}
    async with asyncio.timeout(within_s):
        while True:
            try:
                values = await values_of(url)
            except httpx.TransportError:
                values = {}
            if values and holds(values):
                return values
            await asyncio.sleep(0.1)


def value(values: Values, name: str, *labels: str) -> float:
    """Return one sample's value; fails if there is none."""
    return values[name, frozenset(labels)]


async def test_poison_message_is_counted_where_it_was_buried(launch: Launch, settings: Settings) -> None:
    url = launch_measured(launch, "bridge")
    before = await until_told(url, lambda told: True)
    assert value(before, "headway_dead_letters_total", "unreadable") == 0
    connection = await open_amqp(settings)
    async with connection, connection.channel() as channel:
        for body in (b"\xff no json", b"{}"):
            await channel.default_exchange.publish(
                aio_pika.Message(body), routing_key=queue_name(settings.namespace, Priority.LOW)
            )
    await until_told(url, lambda told: value(told, "headway_dead_letters_total", "unreadable") == 2)


async def test_attempts_are_counted_by_kind_and_status(launch: Launch, submit: Submit) -> None:
    bridge = launch_measured(launch, "bridge")
    worker = launch_measured(launch, "worker", **KINDS, HEADWAY_WORKER_SLOTS="7")
    flaky = await submit("flaky", {"failures": 1})
    unknown = await submit("from elsewhere", {})
    suicidal = await submit("suicidal", {})
    await until(flaky.id, TaskStatus.SUCCEEDED)
    await until(unknown.id, TaskStatus.FAILED)
    await until(suicidal.id, TaskStatus.FAILED)
    told = await until_told(worker, lambda told: value(told, "headway_running_attempts") == 0)
    assert value(told, "headway_attempts_total", "flaky", "RETRYING") == 1
    assert value(told, "headway_attempts_total", "flaky", "SUCCEEDED") == 1
    assert value(told, "headway_attempts_total", "unknown", "FAILED") == 1
    assert value(told, "headway_attempts_total", "suicidal", "QUEUED") == 2
    assert value(told, "headway_attempt_seconds_count", "flaky") == 2
    assert value(told, "headway_dead_letters_total", "unknown kind") == 1
    assert value(told, "headway_losses_total", "process") == 2
    assert value(told, "headway_worker_slots") == 7
    assert value(told, "headway_publish_lag_seconds_count") > 3
    assert 0 < value(told, "headway_publish_lag_seconds_sum") < 60
    told = await until_told(bridge, lambda told: value(told, "headway_repairs_total", "retried") == 1)
    assert value(told, "headway_handed_over_total") == 3
    assert value(told, "headway_bridge_leads") == 1


async def test_backlog_is_measured_by_the_leader_alone(launch: Launch, submit: Submit) -> None:
    leader = launch_measured(launch, "bridge", HEADWAY_BRIDGE_WINDOW="2")
    await until_told(leader, lambda told: value(told, "headway_bridge_leads") == 1)
    other = launch_measured(launch, "bridge", HEADWAY_BRIDGE_WINDOW="2")
    for _ in range(5):
        await submit("flaky", {}, priority=Priority.HIGH)

    def is_measured(told: Values) -> bool:
        waiting = told.get(("headway_backlog_tasks", frozenset({"HIGH"})))
        return (waiting, told.get(("headway_run_queue_tasks", frozenset({"common"})))) == (3, 2)

    told = await until_told(leader, is_measured)
    assert value(told, "headway_backlog_tasks", "LOW") == 0
    assert value(told, "headway_backlog_age_seconds", "HIGH") > 0
    assert value(told, "headway_bridge_window") == 2
    told = await until_told(other, lambda told: True)
    assert value(told, "headway_bridge_leads") == 0
    assert ("headway_backlog_tasks", frozenset({"HIGH"})) not in told


async def test_lost_worker_s_task_is_counted_as_taken_over(launch: Launch, submit: Submit) -> None:
    bridge = launch_measured(launch, "bridge")
    worker = launch("worker", **KINDS)
    task = await submit("steps", {"steps": 600})
    await until(task.id, TaskStatus.RUNNING, within_s=60)
    worker.kill()
    await asyncio.to_thread(worker.wait, 10)
    told = await until_told(bridge, lambda told: value(told, "headway_losses_total", "worker") == 1)
    assert value(told, "headway_repairs_total", "taken over") == 1


async def test_port_says_whether_the_event_loop_turns(launch: Launch, submit: Submit) -> None:
    launch("bridge")
    worker = launch_measured(launch, "worker", **KINDS)
    await until_told(worker, lambda told: True)
    async with httpx.AsyncClient(timeout=10) as client:
        assert (await client.get(f"{worker}/livez")).status_code == 200
        assert (await client.get(f"{worker}/readyz")).status_code == 200
        assert (await client.get(f"{worker}/other")).status_code == 404
        task = await submit("blocking", {"steps": 1, "pause_s": 8.0})
        await until(task.id, TaskStatus.RUNNING, within_s=60)
        while (await client.get(f"{worker}/livez")).status_code == 200:
            assert (await until(task.id, *TaskStatus)).status is TaskStatus.RUNNING
        await until(task.id, TaskStatus.SUCCEEDED)
        assert (await client.get(f"{worker}/livez")).status_code == 200


@pytest.mark.parametrize("role", ["bridge", "worker"])
async def test_port_that_is_taken_is_one_clear_line(launch: Launch, role: str) -> None:
    url = launch_measured(launch, "bridge")
    await until_told(url, lambda told: True)
    second = launch(role, HEADWAY_METRICS_PORT=url.rpartition(":")[2])
    assert await asyncio.to_thread(second.wait, 60) == 1
