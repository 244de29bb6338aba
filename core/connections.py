"""Opening the three services at start: each waits a stated time, then fails with one line that names the address."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

import aio_pika
from aio_pika.abc import AbstractRobustConnection
from beanie import init_beanie
from pymongo import AsyncMongoClient
from pymongo.errors import ConfigurationError, PyMongoError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from core.addresses import mongo_has_tls, public_address
from core.amqp_client import connect_amqp, node_urls
from core.documents import DOCUMENTS
from core.errors import StartupError
from core.redis_client import make_redis
from core.settings import Settings

MongoClient = AsyncMongoClient[dict[str, Any]]
T = TypeVar("T")
ATTEMPT_TIMEOUT_S = 5.0
RETRY_EVERY_S = 0.25


async def _await_service(
    name: str,
    url: str,
    wait_s: float,
    connect: Callable[[], Awaitable[T]],
    transient: tuple[type[Exception], ...],
    attempt_s: float = ATTEMPT_TIMEOUT_S,
) -> T:
    loop = asyncio.get_running_loop()
    give_up = loop.time() + wait_s
    while True:
        try:
            async with asyncio.timeout(attempt_s):
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


def mongo_options(settings: Settings) -> dict[str, Any]:
    """Return what every client of MongoDB is made with, beside its own numbers; the URL can't weaken it."""
    options: dict[str, Any] = {
        "uuidRepresentation": "standard",
        "tz_aware": True,
        "journal": True,  # Without it a standalone server acknowledges what a crash of its process still loses.
        "w": "majority",  # Without it a replica set may, and a new primary does not know it.
        "readPreference": "primary",  # Whoever has just written reads it back.
    }
    own = {name.lower() for name, _ in parse_qsl(urlsplit(settings.mongo_url).query)}
    if settings.tls_ca_file and mongo_has_tls(settings.mongo_url) and "tlscafile" not in own:
        options["tlsCAFile"] = settings.tls_ca_file
    return options


async def open_mongo(settings: Settings, *, has_indexes: bool = False) -> MongoClient:
    """Connect, create what indexes are missing unless there are all, and bind the documents. Raises StartupError."""
    try:
        client: MongoClient = AsyncMongoClient(
            settings.mongo_url,
            **mongo_options(settings),
            minPoolSize=min(settings.mongo_pool_min, settings.mongo_pool_max),
            maxPoolSize=settings.mongo_pool_max,
            serverSelectionTimeoutMS=2_000,
            connectTimeoutMS=2_000,
            timeoutMS=10_000,
        )
    except (ConfigurationError, ValueError) as exc:
        raise StartupError(f"MONGO_URL can't be used ({type(exc).__name__})") from exc

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
    """Connect to Redis or Valkey, by Sentinel where the URL says so. Raises StartupError."""
    client = make_redis(settings)

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
    """Connect to RabbitMQ; the connection comes back by itself, to any node, after an outage. Raises StartupError."""
    urls = node_urls(settings)

    async def connect() -> AbstractRobustConnection:
        return await connect_amqp(urls, ATTEMPT_TIMEOUT_S)

    return await _await_service(
        "RabbitMQ",
        settings.amqp_url,
        settings.startup_wait_s,
        connect,
        (aio_pika.exceptions.AMQPError, OSError, TimeoutError),
        ATTEMPT_TIMEOUT_S * len(urls),
    )
