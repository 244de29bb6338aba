"""From a task's `progress()` to its follower's socket: how much this machine delivers, and the time at half of that."""

import argparse
import asyncio
import itertools
import statistics
import time
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as connect_socket
from websockets.typing import Subprotocol

from loadtest.bench.task_contestants import Headway, headway
from loadtest.bench.task_http import Connection, spread
from loadtest.bench.task_report import middle, percentile, table
from loadtest.bench.task_world import Servers

EVERY_S = 0.0625
"""Between two of a task's calls: more than the 50 ms between two sent, so that each is sent at once."""
SECONDS = 4.0
SUBMIT = "mutation($input: PacedInput!) { paced(input: $input) { id } }"
FOLLOW = "subscription($id: ID!) { taskProgress(id: $id, maxHz: 60) { status progress { current message } } }"
PROTOCOL = Subprotocol("graphql-transport-ws")
A_SOCKET = 40
"""Followers that share a socket; it has room for 50."""
FIRST, GROWTH = 20, 1.6
"""Tasks at once while looking for the most, and how much more in the next step."""
LATE_S = 0.1
"""Deliveries whose median is later than this are no longer live."""


class Heard:
    """What followers got: when each event came, and how long after its call."""

    def __init__(self) -> None:
        self.delays: list[float] = []
        self.came: list[float] = []

    def note(self, message: str) -> None:
        """Note an event whose message is the time of its call."""
        now = time.time()
        self.came.append(now)
        self.delays.append(now - float(message))

    def rate(self) -> float:
        """Return the events a second between the first and the last quarter of the time."""
        began, ended = min(self.came), max(self.came)
        quarter = (ended - began) / 4
        return sum(began + quarter <= came < ended - quarter for came in self.came) / (2 * quarter)


async def follow(socket: ClientConnection, task_ids: list[str], heard: Heard) -> None:
    """Follow tasks on one socket to their ends."""
    await socket.send('{"type":"connection_init"}')
    await socket.recv()
    for task_id in task_ids:
        payload = {"query": FOLLOW, "variables": {"id": task_id}}
        await socket.send(orjson.dumps({"id": task_id, "type": "subscribe", "payload": payload}).decode())
    left = set(task_ids)
    while left:
        frame = orjson.loads(await socket.recv())
        if frame["type"] == "next":
            progress = frame["payload"]["data"]["taskProgress"]["progress"]
            if progress["message"] is not None and frame["payload"]["data"]["taskProgress"]["status"] == "RUNNING":
                heard.note(progress["message"])
        elif frame["type"] == "complete":
            left.discard(frame["id"])
        else:
            assert frame["type"] == "ping", frame


async def run(stack: Headway, tasks: int, seconds: float) -> Heard:
    """Run so many paced tasks, each followed by one follower."""

    async def submit(connection: Connection) -> str:
        given = {"steps": round(seconds / EVERY_S), "everyS": EVERY_S}
        answer = await connection.post("/graphql", {"query": SUBMIT, "variables": {"input": given}})
        return str(answer["data"]["paced"]["id"])

    heard = Heard()
    task_ids = await spread(stack.stack.url, 16, [submit] * tasks)
    async with asyncio.TaskGroup() as group:
        for begin in range(0, tasks, A_SOCKET):
            group.create_task(_follow(stack.stack.ws_url, task_ids[begin : begin + A_SOCKET], heard))
    return heard


async def _follow(url: str, task_ids: list[str], heard: Heard) -> None:
    async with connect_socket(url, subprotocols=[PROTOCOL], compression=None) as socket:
        await follow(socket, task_ids, heard)


def saturation(stack: Headway, seconds: float, figures: list[tuple[int, float, float]]) -> float:
    """Return the most events a second that are delivered while half of them are no later than 0.1 s."""
    most, tasks = 0.0, FIRST
    for _ in itertools.count():
        heard = asyncio.run(run(stack, tasks, seconds))
        rate, late = heard.rate(), statistics.median(heard.delays)
        figures.append((tasks, rate, late))
        if late > LATE_S or rate < most:
            return max(most, rate if late <= LATE_S else 0.0)
        most, tasks = rate, int(tasks * GROWTH)
    raise AssertionError("a machine without an end")


def measure(servers: Servers, asked: argparse.Namespace, figures: dict[str, Any]) -> str:
    """Find the saturation, then measure at half of it; return the table."""
    seconds = 1.0 if asked.quick else SECONDS
    steps: list[tuple[int, float, float]] = []
    with headway(servers, slots=1_000) as stack:
        asyncio.run(run(stack, FIRST, 1.0))
        most = FIRST / EVERY_S if asked.quick else saturation(stack, seconds, steps)
        tasks = max(1, int(most / 2 * EVERY_S))
        repeats = [asyncio.run(run(stack, tasks, seconds)) for _ in range(asked.repeats)]
    delays = [[percentile(heard.delays, percent) * 1e3 for heard in repeats] for percent in (50, 99)]
    figures["follow"] = {"steps": steps, "saturation": most, "tasks": tasks, "p50_p99_ms": delays}
    rows = [(f"{most:,.0f}", f"{tasks} of 16 a second", *(middle(each, 1) for each in delays))]
    head = ("most events/s", "measured with tasks", "p50 ms", "p99 ms")
    return "\n".join(["## `progress()` to a follower's socket\n", table(head, rows)])
