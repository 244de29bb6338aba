"""Fixtures for tests against real services: one server of each a session, started when first asked for.

TEST_MONGO_URL, TEST_REDIS_URL and TEST_AMQP_URL point the suite at servers that run already.
"""

import os
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import hypothesis
import pytest
from redis.asyncio import Redis

from core.connections import MongoClient, open_mongo, open_redis
from core.settings import Settings
from stack import services
from stack.process import Child, Guard, Program, free_port
from tests.running_stack import RunningStack, start_stack

# How long an example takes says nothing of the code: the other process of the suite, and servers, run beside it.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")


@pytest.fixture(scope="session")
def services_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the session's servers keep their data and logs."""
    return tmp_path_factory.mktemp("services")


@pytest.fixture(scope="session")
def process_guard() -> Iterator[Guard]:
    """Ends the session's servers even when pytest itself is killed."""
    guard = Guard()
    yield guard
    guard.close()


@contextmanager
def running(programs: tuple[Program, ...], folder: Path, guard: Guard) -> Iterator[str]:
    """Run programs in their order; yield the last one's address."""
    children: list[Child] = []
    try:
        for program in programs:
            child = Child(program, folder / "logs" / f"{program.role}.log", guard)
            children.append(child)
            child.start()
            child.await_ready()
        assert programs[-1].url is not None
        yield programs[-1].url
    finally:
        for child in reversed(children):
            child.stop()


@pytest.fixture(scope="session")
def mongo_url(services_folder: Path, process_guard: Guard) -> Iterator[str]:
    """A real MongoDB-protocol server."""
    if url := os.environ.get("TEST_MONGO_URL"):
        yield url
        return
    with running((services.mongodb(services_folder, free_port()),), services_folder, process_guard) as url:
        yield url


@pytest.fixture(scope="session")
def redis_url(services_folder: Path, process_guard: Guard) -> Iterator[str]:
    """A real Valkey or Redis. Never flush it: other tests use it too."""
    if url := os.environ.get("TEST_REDIS_URL"):
        yield url
        return
    with running((services.redis(services_folder, free_port()),), services_folder, process_guard) as url:
        yield url


@pytest.fixture(scope="session")
def amqp_url(services_folder: Path, process_guard: Guard) -> Iterator[str]:
    """A real RabbitMQ."""
    if url := os.environ.get("TEST_AMQP_URL"):
        yield url
        return
    with running(services.rabbitmq(services_folder, free_port()), services_folder, process_guard) as url:
        yield url


@pytest.fixture
def settings(mongo_url: str, redis_url: str, amqp_url: str) -> Settings:
    """Settings on the real services, with a namespace and a database that no other test has, and short waits."""
    name = f"t{secrets.token_hex(6)}"
    return Settings(
        mongo_url=mongo_url,
        redis_url=redis_url,
        amqp_url=amqp_url,
        mongo_database=name,
        mongo_pool_min=0,
        namespace=name,
        startup_wait_s=5,
        drain_s=2,
        log_level="warning",
    )


@pytest.fixture
async def mongo(settings: Settings) -> AsyncIterator[MongoClient]:
    """A client whose test database has the indexes and is dropped afterwards; Beanie's documents are bound to it."""
    client = await open_mongo(settings)
    yield client
    await client.drop_database(settings.mongo_database)
    await client.close()


@pytest.fixture
async def redis(settings: Settings) -> AsyncIterator[Redis]:
    """A client of the real Redis; keep to keys of the test's namespace."""
    client = await open_redis(settings)
    yield client
    await client.aclose()


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """A whole `headway up` on ports and data of its own, shared by the session: kill nothing in it."""
    running_stack = start_stack(tmp_path_factory.mktemp("stack") / "data")
    yield running_stack
    assert running_stack.stop() == 0, running_stack.said()
