"""`python -m tests.load.units`: what one task, and one event of a task that somebody follows, cost each process.

Processor time above that of an idle stack, the units that docs/scaling.md reckons with: tasks that end at once, a few a
second; then tasks that each tell progress once a second to a follower with a connection of its own.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import httpx
from websockets.asyncio.client import connect

from tests.running_stack import RunningStack, start_stack

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
SUBMIT = "mutation ($n: Int!) { tick(input: {ticks: $n, pauseS: 1}) { id } }"
FOLLOW = "subscription ($id: ID!) { taskProgress(id: $id) { status progress { current total } } }"
LONG_S = 600
"""How long a task is followed at most; the stack's end cuts it short."""
Costs = dict[str, float]


def processor_s(pid: int) -> float:
    """Return what a process and all below it have used of processors, in seconds."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()
    except FileNotFoundError:  # It has ended meanwhile.
        return 0.0
    return sum(map(int, fields[11:15])) / TICKS_A_SECOND + sum(processor_s(int(child)) for child in children)


def used(stack: RunningStack) -> Costs:
    """Return what each process of a stack has used, in seconds."""
    return {role: processor_s(process.pid) for role, process in stack.processes().processes.items()}


def above(before: Costs, after: Costs, idle_a_second: Costs, seconds: float, units: float) -> Costs:
    """Return what a unit cost each process above idling, in microseconds."""
    return {role: (after[role] - before[role] - idle_a_second[role] * seconds) / units * 1e6 for role in before}


async def submit(client: httpx.AsyncClient, ticks: int) -> str:
    """Submit a task and return its id."""
    answer = await client.post("/graphql", json={"query": SUBMIT, "variables": {"n": ticks}})
    task_id: str = answer.json()["data"]["tick"]["id"]
    return task_id


class Followers:
    """Followers of a task each, and what they have heard together."""

    def __init__(self, stack: RunningStack, client: httpx.AsyncClient) -> None:
        self._stack = stack
        self._client = client
        self.joined = asyncio.Semaphore(0)
        self.events = 0

    async def follow(self, ticks: int) -> None:
        """Submit a task and count its events until cancelled."""
        task_id = await submit(self._client, ticks)
        async with connect(self._stack.ws_url, subprotocols=["graphql-transport-ws"]) as socket:  # type: ignore[list-item]
            await socket.send(json.dumps({"type": "connection_init"}))
            payload = {"query": FOLLOW, "variables": {"id": task_id}}
            await socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": payload}))
            await socket.recv()
            self.joined.release()
            async for _ in socket:
                self.events += 1


async def cost_of_tasks(stack: RunningStack, client: httpx.AsyncClient, idle: Costs, rate: float, tasks: int) -> Costs:
    """Have tasks run that end at once, at a rate, and return what one cost."""
    before, began = used(stack), time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number in range(tasks):
            await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
            group.create_task(submit(client, 0))
    await asyncio.sleep(1)
    return above(before, used(stack), idle, time.monotonic() - began, tasks)


async def cost_of_events(
    stack: RunningStack, client: httpx.AsyncClient, idle: Costs, followers: int, seconds: int
) -> Costs:
    """Have tasks followed that tell progress once a second, and return what an event cost."""
    told = Followers(stack, client)
    async with asyncio.TaskGroup() as group:
        following = [group.create_task(told.follow(LONG_S)) for _ in range(followers)]
        for _ in following:
            await told.joined.acquire()
        await asyncio.sleep(2)
        before, began, heard = used(stack), time.monotonic(), told.events
        await asyncio.sleep(seconds)
        cost = above(before, used(stack), idle, time.monotonic() - began, told.events - heard)
        for each in following:
            each.cancel()
    return cost


async def measure(stack: RunningStack, asked: argparse.Namespace) -> str:
    """Return the costs as a table in Markdown."""
    async with httpx.AsyncClient(base_url=stack.url, timeout=30) as client:
        await submit(client, 0)
        await asyncio.sleep(5)
        before = used(stack)
        await asyncio.sleep(asked.seconds)
        idle = {role: (now - before[role]) / asked.seconds for role, now in used(stack).items()}
        task = await cost_of_tasks(stack, client, idle, asked.rate, round(asked.rate * asked.seconds))
        event = await cost_of_events(stack, client, idle, asked.followers, asked.seconds)
    rows = [f"| {role} | {idle[role] * 100:.1f} | {task[role]:.0f} | {event[role]:.0f} |" for role in idle]
    return "\n".join(["| process | idle, % of a core | µs a task | µs an event |", "|---|---|---|---|", *rows, ""])


def main() -> int:
    """Measure on a stack of its own."""
    parser = argparse.ArgumentParser(prog="python -m tests.load.units", description=__doc__)
    parser.add_argument("--seconds", type=int, default=20, help="of each of three parts")
    parser.add_argument("--rate", type=float, default=20.0, help="tasks a second that end at once")
    parser.add_argument("--followers", type=int, default=200)
    asked = parser.parse_args()
    environment = {
        "HEADWAY_KIND_MODULES": "tests.load.kinds",
        "HEADWAY_WORKER_SLOTS": f"{asked.followers}",
        "HEADWAY_BRIDGE_WINDOW": f"{asked.followers}",
    }
    with tempfile.TemporaryDirectory(prefix="headway-units-") as folder:
        stack = start_stack(Path(folder) / "data", env=environment)
        try:
            sys.stdout.write(asyncio.run(measure(stack, asked)))
        finally:
            stack.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
