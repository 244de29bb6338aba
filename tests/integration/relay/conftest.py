"""The relay needs MongoDB and Redis; some tests kill a Valkey of their own."""

import asyncio
import os
import secrets
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from redis.asyncio import Redis

from core.connections import MongoClient, open_redis
from core.settings import Settings
from core.streams import EventStreams
from gateway.relay import Relay
from stack import services
from stack.process import Child, Guard, Program, free_port
from tests.integration.relay.writer import Writer


@pytest.fixture
def settings(mongo_url: str, redis_url: str) -> Settings:
    """Settings with a namespace and a database that no other test has."""
    name = f"t{secrets.token_hex(6)}"
    return Settings(
        mongo_url=mongo_url,
        redis_url=redis_url,
        mongo_database=name,
        mongo_pool_min=0,
        namespace=name,
        startup_wait_s=5,
    )


@pytest.fixture
async def relay(mongo: MongoClient, redis: Redis, settings: Settings) -> AsyncIterator[Relay]:
    """A replica's relay; when the test is over nothing may be left in its tables."""
    async with Relay(redis, EventStreams(redis, settings.namespace), settings.namespace) as relay:
        yield relay
        assert (relay.watched, relay.subscribers) == (0, 0)


class Server:
    """A server that may be killed and started again on the same port."""

    def __init__(self, program: Program, log: Path, guard: Guard) -> None:
        assert program.url is not None
        self.url = program.url
        self._child = Child(program, log, guard)

    async def start(self) -> None:
        """Start it; waits until it answers."""
        await asyncio.to_thread(self._child.start)
        await asyncio.to_thread(self._child.await_ready)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._child.pid is not None
        os.kill(self._child.pid, number)

    async def stop(self) -> None:
        """End it in good order; waits until it is gone."""
        await asyncio.to_thread(self._child.stop, 10.0)

    async def kill(self) -> None:
        """End it as a crash would; waits until it is gone."""
        if self._child.running:
            self.signal(signal.SIGKILL)
            await asyncio.to_thread(self._child.await_end, 5.0)


@pytest.fixture
async def valkey(tmp_path: Path, process_guard: Guard) -> AsyncIterator[Server]:
    """A running Valkey of the test's own, which keeps nothing."""
    program = services.redis(tmp_path, free_port())
    forgetful = replace(program, argv=(*program.argv, "--appendonly", "no"))
    server = Server(forgetful, tmp_path / "valkey.log", process_guard)
    await server.start()
    yield server
    await server.kill()


@pytest.fixture
async def mongodb(tmp_path: Path, process_guard: Guard) -> AsyncIterator[Server]:
    """A running MongoDB-protocol server of the test's own, which keeps its data."""
    server = Server(services.mongodb(tmp_path, free_port()), tmp_path / "mongodb.log", process_guard)
    await server.start()
    yield server
    await server.kill()


@pytest.fixture
async def own_redis(valkey: Server, settings: Settings) -> AsyncIterator[Redis]:
    """A client of the test's own Valkey."""
    client = await open_redis(settings.model_copy(update={"redis_url": valkey.url}))
    yield client
    await client.aclose()


@pytest.fixture
async def own_relay(mongo: MongoClient, own_redis: Redis, settings: Settings) -> AsyncIterator[Relay]:
    """A replica's relay on the test's own Valkey."""
    async with Relay(own_redis, EventStreams(own_redis, settings.namespace), settings.namespace) as relay:
        yield relay
        assert (relay.watched, relay.subscribers) == (0, 0)


Submit = Callable[[], Awaitable[Writer]]


@pytest.fixture
def submit(mongo: MongoClient, redis: Redis, settings: Settings) -> Submit:
    """Stores a task in the shared Redis."""
    return lambda: Writer.submit(redis, settings.namespace)


@pytest.fixture
def own_submit(mongo: MongoClient, own_redis: Redis, settings: Settings) -> Submit:
    """Stores a task in the test's own Valkey."""
    return lambda: Writer.submit(own_redis, settings.namespace)


async def eventually(condition: Callable[[], bool | Awaitable[bool]], within_s: float = 5.0) -> None:
    """Wait until the condition holds."""
    async with asyncio.timeout(within_s):
        while True:
            holds = condition()
            if holds if isinstance(holds, bool) else await holds:
                return
            await asyncio.sleep(0.01)
