"""The system under test: its services, a whole `headway up` on them, and the clients that look at it from outside."""

import asyncio
import itertools
import os
import random
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aio_pika
import httpx
from beanie import init_beanie
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from redis.asyncio import Redis

from core.documents import Task
from tests.faults.servers import Servers, running_servers
from tests.running_stack import RunningStack, start_stack

NAMESPACE = "headway"
OPTIONS = ("--gateways", "2", "--bridges", "2", "--workers", "2", "--no-nginx")
ENVIRONMENT = {
    "HEADWAY_KIND_MODULES": "tests.fault_kinds,tests.faults.kinds",
    "HEADWAY_WORKER_SLOTS": "16",
    "HEADWAY_WORKER_PROCESSES": "2",
    "HEADWAY_MONGO_POOL_MIN": "1",
}
"""Few slots, so that all these processes and their subscribers leave some of two cores idle: times mean something."""
GATEWAYS = ("gateway-1", "gateway-2")
BRIDGES = ("bridge-1", "bridge-2")
WORKERS = ("worker-1", "worker-2")
LOOK_EVERY_S = 0.2
ANSWER_WITHIN_S = 60.0
ASK_AGAIN_S = 0.4


async def until(holds: Callable[[], Awaitable[bool]], within_s: float) -> None:
    """Look five times a second until it holds: what is looked at lies in other processes. Raises TimeoutError."""
    async with asyncio.timeout(within_s):
        while not await holds():  # noqa: ASYNC110  # Other processes set no event of ours.
            await asyncio.sleep(LOOK_EVERY_S)


@dataclass(frozen=True)
class World:
    """Everything a scenario may act on and the verdict may ask."""

    servers: Servers
    stack: RunningStack
    http: httpx.AsyncClient
    database: AsyncDatabase[dict[str, Any]]
    redis: Redis

    @property
    def tasks(self) -> Any:
        """The tasks collection."""
        return self.database["tasks"]

    def gateway_urls(self) -> list[str]:
        """Return both replicas' addresses."""
        processes = self.stack.processes().processes
        return [str(processes[role].url) for role in GATEWAYS]

    def sockets(self) -> list[str]:
        """Return both replicas' WebSocket addresses."""
        return [url.replace("http://", "ws://", 1) + "/graphql" for url in self.gateway_urls()]

    def pid(self, role: str) -> int:
        """Return the pid of a role's process."""
        return self.stack.processes().processes[role].pid

    def signal(self, role: str, signum: int) -> int:
        """Send a role's process a signal; return its pid."""
        pid = self.pid(role)
        os.kill(pid, signum)
        return pid

    def kill(self, role: str) -> int:
        """End a role's process at once; the stack starts it again. Returns its pid."""
        return self.signal(role, signal.SIGKILL)

    async def leader(self) -> str:
        """Return the role of the bridge that leads."""
        lease = await self.database["leases"].find_one({"_id": "reconciler"})
        assert lease is not None
        return next(role for role in BRIDGES if f"-{self.pid(role)}-" in lease["holder"])

    async def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """Return the data of one replica's answer; asks again, the other one, while it gets none or UNAVAILABLE.

        Raises AssertionError on any other error, and when nobody has answered for a minute.
        """
        give_up = time.monotonic() + ANSWER_WITHIN_S
        replicas = itertools.cycle(random.sample(self.gateway_urls(), k=len(GATEWAYS)))
        while time.monotonic() < give_up:
            try:
                body = {"query": query, "variables": variables}
                answer = (await self.http.post(f"{next(replicas)}/graphql", json=body)).json()
            except httpx.HTTPError:
                answer = {}
            errors = answer.get("errors", [])
            assert all(error.get("extensions", {}).get("code") == "UNAVAILABLE" for error in errors), errors
            if answer and not errors:
                data: dict[str, Any] = answer["data"]
                return data
            await asyncio.sleep(ASK_AGAIN_S * random.uniform(0.5, 1.0))
        raise AssertionError(f"no replica answered within {ANSWER_WITHIN_S:g} s")

    async def until_restarted(self, role: str, pid: int) -> None:
        """Wait until another process has the role and, if it listens, answers."""

        async def restarted() -> bool:
            return self.pid(role) != pid and await self._answers(role)

        await until(restarted, 60)

    async def _answers(self, role: str) -> bool:
        url = self.stack.processes().processes[role].url
        if url is None:
            return True
        try:
            return (await self.http.get(f"{url}/readyz")).status_code == 200
        except httpx.HTTPError:
            return False

    async def until_ready(self) -> None:
        """Wait until both replicas answer."""

        async def ready() -> bool:
            return all([await self._answers(role) for role in GATEWAYS])

        await until(ready, 60)

    async def publish(self, bodies: list[bytes], queue: str) -> None:
        """Put bodies into a broker queue by hand."""
        connection = await aio_pika.connect(self.servers.rabbitmq.url)
        async with connection, connection.channel() as channel:
            for body in bodies:
                message = aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
                await channel.default_exchange.publish(message, routing_key=queue)


@asynccontextmanager
async def running_world(folder: Path) -> AsyncIterator[World]:
    """Run the services and two of everything on them; at the end nothing is left."""
    async with AsyncExitStack() as closing:
        servers = await closing.enter_async_context(running_servers(folder))
        environment = servers.environment() | ENVIRONMENT
        stack = await asyncio.to_thread(start_stack, folder / "stack", *OPTIONS, env=environment)
        closing.push_async_callback(asyncio.to_thread, _stop, stack)
        mongo: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
            servers.mongodb.url, uuidRepresentation="standard", tz_aware=True, serverSelectionTimeoutMS=2_000
        )
        closing.push_async_callback(mongo.close)
        await init_beanie(mongo["headway"], document_models=[Task], skip_indexes=True)
        redis: Redis = Redis.from_url(servers.redis.url)
        closing.push_async_callback(redis.aclose)
        http = await closing.enter_async_context(httpx.AsyncClient(timeout=15.0))
        yield World(servers, stack, http, mongo["headway"], redis)


def _stop(stack: RunningStack) -> None:
    """Stop it. Raises subprocess.TimeoutExpired if it had to be killed, with which its guard ends the rest."""
    try:
        stack.stop()
    except subprocess.TimeoutExpired:
        stack.process.kill()
        stack.process.wait()
        raise
