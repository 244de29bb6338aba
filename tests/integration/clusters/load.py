"""Tasks that are submitted, followed and counted while a part of a cluster is lost."""

import asyncio
import itertools
import json
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import httpx
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from tests.running_stack import RunningStack, start_stack

SUBMIT = 'mutation ($input: JSON!) { submitTask(kind: "steps", input: $input) { id } }'
FOLLOW = "subscription ($id: ID!) { taskProgress(id: $id) { id status delivery } }"
ENDS = ("SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED")
AT_ONCE = 5


@dataclass
class Load:
    """What became of the tasks of one load."""

    stack: RunningStack
    http: httpx.AsyncClient
    submitted: list[str] = field(default_factory=list)
    ends: Counter[str] = field(default_factory=Counter)
    deliveries: dict[str, str] = field(default_factory=dict)
    _followers: set[asyncio.Task[None]] = field(default_factory=set)

    async def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """Return the data of an answer; nothing that is asked here may be refused while a cluster loses a part."""
        asked = {"query": query, "variables": variables}
        answer = (await self.http.post(f"{self.stack.url}/graphql", json=asked)).json()
        assert "errors" not in answer, answer
        return cast("dict[str, Any]", answer["data"])

    async def submit(self, tasks: int, *, steps: int, pause_s: float) -> list[str]:
        """Submit tasks of so many steps; return their ids."""
        values = {"steps": steps, "pauseS": pause_s}
        made: list[str] = []
        while len(made) < tasks:
            some = range(min(AT_ONCE, tasks - len(made)))
            answers = await asyncio.gather(*(self.ask(SUBMIT, input=values) for _ in some))
            made += [answer["submitTask"]["id"] for answer in answers]
        self.submitted += made
        return made

    async def follow(self, task_ids: list[str]) -> None:
        """Begin to follow tasks; return once each has told where it stands."""
        joined = asyncio.Event()
        self._followers.add(asyncio.create_task(self._follow(task_ids, joined), name="followers"))
        await joined.wait()

    async def _follow(self, task_ids: list[str], joined: asyncio.Event) -> None:
        followed = dict(zip(map(str, itertools.count()), task_ids))  # noqa: B905  # The numbers go on for ever.
        heard: set[str] = set()
        async with connect(self.stack.ws_url, subprotocols=[Subprotocol("graphql-transport-ws")]) as socket:
            await socket.send(json.dumps({"type": "connection_init"}))
            assert json.loads(await socket.recv())["type"] == "connection_ack"
            for number, task_id in followed.items():
                payload = {"query": FOLLOW, "variables": {"id": task_id}}
                await socket.send(json.dumps({"type": "subscribe", "id": number, "payload": payload}))
            while followed:
                frame = json.loads(await socket.recv())
                if frame["type"] == "complete":
                    del followed[frame["id"]]
                    continue
                assert frame["type"] == "next", frame
                told = frame["payload"]["data"]["taskProgress"]
                self.deliveries[told["id"]] = told["delivery"]
                self.ends[told["id"]] += told["status"] in ENDS
                heard.add(told["id"])
                if len(heard) == len(task_ids):
                    joined.set()

    async def ended(self, within_s: float) -> None:
        """Wait until every follower has heard its end, and every task has one. Raises TimeoutError, AssertionError."""
        async with asyncio.timeout(within_s):
            await asyncio.gather(*self._followers)
            while await self._unended():  # noqa: ASYNC110  # MongoDB sets no event of ours.
                await asyncio.sleep(0.2)
        stored = await self.ask("{ tasks(first: 1, filter: {statuses: [SUCCEEDED]}) { totalCount } }")
        assert stored["tasks"]["totalCount"] == len(self.submitted)
        assert set(self.ends.values()) == {1}

    async def _unended(self) -> int:
        going = "SCHEDULED, PENDING, QUEUED, RUNNING, RETRYING, CANCELLING"
        found = await self.ask(f"{{ tasks(first: 1, filter: {{statuses: [{going}]}}) {{ totalCount }} }}")
        return int(found["tasks"]["totalCount"])


@contextmanager
def stack_on(addresses: Mapping[str, str], folder: Path, *options: str) -> Iterator[RunningStack]:
    """Run a whole stack on services that run already, in a namespace of its own."""
    name = f"t{secrets.token_hex(6)}"
    environment = {
        **addresses,
        "HEADWAY_MONGO_DATABASE": name,
        "HEADWAY_NAMESPACE": name,
        "HEADWAY_MONGO_POOL_MIN": "0",
        "HEADWAY_KIND_MODULES": "tests.fault_kinds",
        "HEADWAY_WORKER_SLOTS": "16",
    }
    stack = start_stack(folder / "stack", "--no-nginx", *options, env=environment)
    try:
        yield stack
    finally:
        status = stack.stop()
    assert status == 0, stack.said()


@asynccontextmanager
async def load_on(stack: RunningStack) -> AsyncIterator[Load]:
    """Open a client of the stack."""
    async with httpx.AsyncClient(timeout=30) as http:
        yield Load(stack, http)
