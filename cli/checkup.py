"""What `headway doctor` looks at. Each check asks one service and yields findings; none changes anything."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any

import aio_pika
from pymongo.errors import PyMongoError
from redis.exceptions import RedisError

from cli.client import ApiClient, ApiError
from cli.clusters import mongodb_findings, rabbitmq_findings, redis_findings
from cli.findings import Finding, Level
from core.amqp_client import node_urls
from core.clock import utc_now
from core.connections import open_amqp, open_mongo, open_redis
from core.documents import DOCUMENTS
from core.errors import StartupError
from core.messages import arq_queue_name, queue_name
from core.settings import Settings
from core.states import Priority

MOST_SKEW_S = 1.0
"""Leases assume clocks within a second of each other."""
CHECK_TIMEOUT_S = 15.0
LEAST_VERSIONS = {"MongoDB": 7, "Redis": 7, "RabbitMQ": 3}
"""The oldest major versions with what is used of them."""
HEALTH = "{ health { status timestamp services { name status latencyMs } } taskKinds { name } }"


Check = Callable[[], AsyncGenerator[Finding, None]]


async def examine(client: ApiClient, settings: Settings) -> AsyncGenerator[Finding, None]:
    """Yield every finding as it is made. A service that does not answer is one, and stops no other check."""
    checks: list[tuple[str, str, Check]] = [
        ("gateway", "start it with `headway up`, or name its address with --url", lambda: _gateway(client)),
        ("MongoDB", "start it, or correct MONGO_URL", lambda: _mongodb(settings)),
        ("Redis", "start it, or correct REDIS_URL; no task is lost meanwhile", lambda: _redis(settings)),
    ]
    if settings.broker == "rabbitmq":
        advice = "start it, or correct AMQP_URL; submitted tasks wait in MongoDB meanwhile"
        checks.append(("RabbitMQ", advice, lambda: _rabbitmq(settings)))
    for name, advice, check in checks:
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_S):
                async with aclosing(check()) as findings:
                    found = [finding async for finding in findings]
            for finding in found:
                yield finding
        except TimeoutError:
            yield Finding(Level.BAD, name, f"no answer within {CHECK_TIMEOUT_S:g} s", advice)
        except (ApiError, StartupError, PyMongoError, RedisError, aio_pika.exceptions.AMQPError, OSError) as exc:
            yield Finding(Level.BAD, name, str(exc).partition("\n")[0][:200], advice)


async def _gateway(client: ApiClient) -> AsyncGenerator[Finding, None]:
    asked_at = utc_now()
    answer = await client.execute(HEALTH, {})
    health, answered_at = answer["health"], utc_now()
    yield clock_finding("gateway's clock", datetime.fromisoformat(health["timestamp"]), asked_at, answered_at)
    kinds = ", ".join(kind["name"] for kind in answer["taskKinds"])
    yield Finding(Level.OK, "gateway", f"{client.url} answers; kinds: {kinds}")
    if any(service["latencyMs"] is None for service in health["services"]):
        health = (await client.execute(HEALTH, {}))["health"]  # A moment's load is no outage.
    for service in health["services"]:
        if service["latencyMs"] is None:
            said = f"the gateway does not reach {service['name']} ({service['status']})"
            yield Finding(Level.BAD, "gateway", said, "see its finding here, and the gateway's log")


async def _mongodb(settings: Settings) -> AsyncGenerator[Finding, None]:
    mongo = await open_mongo(settings, has_indexes=True)
    async with mongo:
        version = str((await mongo.server_info())["version"])
        yield version_finding("MongoDB", version)
        asked_at = utc_now()
        hello: dict[str, Any] = await mongo.admin.command("hello")
        if "localTime" in hello:
            yield clock_finding("MongoDB's clock", hello["localTime"].replace(tzinfo=UTC), asked_at, utc_now())
        async for finding in mongodb_findings(mongo, hello):
            yield finding
        database = mongo[settings.mongo_database]
        missing = []
        for document in DOCUMENTS:
            name = str(document.Settings.name)
            there = await database[name].index_information()
            wanted = [index.document["name"] for index in getattr(document.Settings, "indexes", ())]
            missing += [f"{name}.{index}" for index in wanted if index not in there]
        if missing:
            said = f"missing: {', '.join(missing)}"
            yield Finding(Level.BAD, "indexes", said, "restart a gateway: it makes them at start")
        else:
            yield Finding(Level.OK, "indexes", "all there")
        lease = await database["leases"].find_one({"_id": "reconciler"})
        if lease is None or lease["until"] < utc_now():
            yield Finding(Level.BAD, "bridge", "none leads: nothing is recovered", "start one: `headway bridge`")
        else:
            yield Finding(Level.OK, "bridge", f"{lease['holder']} leads")
        async for finding in _tasks(database["tasks"].count_documents):
            yield finding


async def _tasks(count: Callable[[dict[str, Any]], Awaitable[int]]) -> AsyncGenerator[Finding, None]:
    running = await count({"status": "RUNNING"})
    lost = await count({"status": "RUNNING", "lease.until": {"$lt": utc_now() - timedelta(seconds=15)}})
    if lost:
        said = f"{lost} of {running} running tasks have no living worker"
        yield Finding(Level.BAD, "tasks", said, "see the leading bridge's log: it should have queued them again")
    else:
        yield Finding(Level.OK, "tasks", f"{running} running, each with a living worker")


async def _redis(settings: Settings) -> AsyncGenerator[Finding, None]:
    async with await open_redis(settings) as redis:
        info = await redis.info("server")
        yield version_finding("Redis", str(info.get("valkey_version") or info["redis_version"]))
        asked_at = utc_now()
        seconds, microseconds = await redis.time()
        there = datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=microseconds)
        yield clock_finding("Redis' clock", there, asked_at, utc_now())
        async for finding in redis_findings(redis):
            yield finding
        waiting = await redis.zcard(arq_queue_name(settings.namespace))
        yield Finding(Level.OK, "run queue", f"{waiting} tasks handed to the workers")


async def _rabbitmq(settings: Settings) -> AsyncGenerator[Finding, None]:
    async with await open_amqp(settings) as amqp:
        transport = amqp.transport
        properties = transport.connection.server_properties if transport is not None else {}
        yield version_finding("RabbitMQ", str(properties.get("version", "unknown")))
        async for finding in rabbitmq_findings(node_urls(settings)):
            yield finding
        for priority in Priority:
            name = queue_name(settings.namespace, priority)
            try:
                async with amqp.channel() as channel:
                    queue = await channel.declare_queue(name, passive=True, robust=False)
            except aio_pika.exceptions.ChannelNotFoundEntity:
                yield Finding(Level.BAD, "queue", f"{name} does not exist", "restart a bridge: it declares it")
                continue
            found = queue.declaration_result
            said = f"{name}: {found.message_count} waiting, {found.consumer_count} bridges"
            if found.consumer_count == 0:
                yield Finding(Level.BAD, "queue", said, "start a bridge: `headway bridge`")
            else:
                yield Finding(Level.OK, "queue", said)


def version_finding(name: str, version: str) -> Finding:
    """Return whether the service is young enough; a version that can't be read is only worth a warning."""
    major, least = version.partition(".")[0], LEAST_VERSIONS[name]
    if not major.isdecimal():
        return Finding(Level.WARN, name, f"version {version}", f"expected {least} or newer; see for yourself")
    if int(major) < least:
        return Finding(Level.BAD, name, f"version {version}", f"upgrade it to {least} or newer")
    return Finding(Level.OK, name, f"version {version}")


def clock_finding(name: str, there: datetime, asked_at: datetime, answered_at: datetime) -> Finding:
    """Return how far a clock is from ours at least, given when it was asked and when the answer came."""
    early, late = (asked_at - there).total_seconds(), (there - answered_at).total_seconds()
    skew_s = max(0.0, early, late)
    if skew_s > MOST_SKEW_S:
        said = f"{skew_s:.1f} s {'behind' if early > late else 'ahead of'} this machine's"
        return Finding(Level.BAD, name, said, "synchronise the clocks (NTP): leases assume them within a second")
    return Finding(Level.OK, name, "within a second of this machine's")
