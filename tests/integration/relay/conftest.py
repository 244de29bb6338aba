"""The relay needs MongoDB and Redis; some tests kill a Valkey of their own."""

import asyncio
import os
import secrets
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from redis.asyncio import Redis

from core.connections import MongoClient, open_redis
from core.settings import Settings
from core.streams import EventStreams
from gateway.relay import Relay
from stack import services
from stack.process import Child, Guard, free_port
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


class Valkey:
    """A Valkey that may be killed and comes back empty on the same port."""

    def __init__(self, folder: Path, guard: Guard) -> None:
        self._folder = folder
        self._guard = guard
        self._port = free_port()
        self._child: Child | None = None
        self.url = f"redis://127.0.0.1:{self._port}/0"

    async def start(self) -> None:
        """Start it with no data; waits until it answers."""
        folder = self._folder / secrets.token_hex(4)
        child = self._child = Child(services.redis(folder, self._port), folder / "valkey.log", self._guard)
        await asyncio.to_thread(child.start)
        await asyncio.to_thread(child.await_ready)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._child is not None
        assert self._child.pid is not None
        os.kill(self._child.pid, number)

    async def kill(self) -> None:
        """End it as a crash would; waits until it is gone."""
        assert self._child is not None
        self.signal(signal.SIGKILL)
        await asyncio.to_thread(self._child.await_end, 5.0)


@pytest.fixture
async def valkey(tmp_path: Path, process_guard: Guard) -> AsyncIterator[Valkey]:
    """A running Valkey of the test's own."""
    valkey = Valkey(tmp_path, process_guard)
    await valkey.start()
    yield valkey
    await valkey.kill()


@pytest.fixture
async def own_redis(valkey: Valkey, settings: Settings) -> AsyncIterator[Redis]:
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
