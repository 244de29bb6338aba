"""Opening the three services at start: each waits a stated time, then fails with one line that names the address."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

import aio_pika
from aio_pika.abc import AbstractRobustConnection
from beanie import init_beanie
from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from core.documents import DOCUMENTS
from core.errors import StartupError
from core.settings import Settings

MongoClient = AsyncMongoClient[dict[str, Any]]
T = TypeVar("T")
ATTEMPT_TIMEOUT_S = 5.0
RETRY_EVERY_S = 0.25


def public_address(url: str) -> str:
    """Return scheme, hosts, port and path of a URL, without user, password and query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


async def _await_service(
    name: str, url: str, wait_s: float, connect: Callable[[], Awaitable[T]], transient: tuple[type[Exception], ...]
) -> T:
    loop = asyncio.get_running_loop()
    give_up = loop.time() + wait_s
    while True:
        try:
            async with asyncio.timeout(ATTEMPT_TIMEOUT_S):
                return await connect()
        except transient as exc:
            if loop.time() >= give_up:
                reason = str(exc).splitlines()[0][:200] if str(exc) else type(exc).__name__
                if urlsplit(url).password:
                    reason = type(exc).__name__
                raise StartupError(
                    f"{name} at {public_address(url)} did not answer within {wait_s:g} s ({reason})"
                ) from exc
        await asyncio.sleep(RETRY_EVERY_S)


async def open_mongo(settings: Settings, *, has_indexes: bool = False) -> MongoClient:
    """Connect, create what indexes are missing unless there are all, and bind the documents. Raises StartupError."""
    client: MongoClient = AsyncMongoClient(
        settings.mongo_url,
        uuidRepresentation="standard",
        tz_aware=True,
        journal=True,  # Without it a standalone server acknowledges what a crash of its process still loses.
        minPoolSize=min(settings.mongo_pool_min, settings.mongo_pool_max),
        maxPoolSize=settings.mongo_pool_max,
        serverSelectionTimeoutMS=2_000,
        connectTimeoutMS=2_000,
        timeoutMS=10_000,
    )

    async def connect() -> None:
        await client.admin.command("ping")
        database = client[settings.mongo_database]
        await init_beanie(database=database, document_models=list(DOCUMENTS), skip_indexes=has_indexes)

    try:
        await _await_service(
            "MongoDB", settings.mongo_url, settings.startup_wait_s, connect, (PyMongoError, TimeoutError)
        )
    except BaseException:
        await client.close()
        raise
    return client


async def open_redis(settings: Settings) -> Redis:
    """Connect to Redis or Valkey. Raises StartupError."""
    client: Redis = Redis.from_url(
        settings.redis_url, socket_timeout=5, socket_connect_timeout=2, health_check_interval=15, protocol=2
    )

    async def connect() -> None:
        await client.ping()

    try:
        await _await_service(
            "Redis", settings.redis_url, settings.startup_wait_s, connect, (RedisError, OSError, TimeoutError)
        )
    except BaseException:
        await client.aclose()
        raise
    return client


async def open_amqp(settings: Settings) -> AbstractRobustConnection:
    """Connect to RabbitMQ; the connection comes back by itself after an outage. Raises StartupError."""

    async def connect() -> AbstractRobustConnection:
        return await aio_pika.connect_robust(settings.amqp_url, timeout=ATTEMPT_TIMEOUT_S, reconnect_interval=1.0)

    return await _await_service(
        "RabbitMQ",
        settings.amqp_url,
        settings.startup_wait_s,
        connect,
        (aio_pika.exceptions.AMQPError, OSError, TimeoutError),
    )
