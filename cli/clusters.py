"""What `headway doctor` says of services that are more than one server: who answers, and who leads."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import aio_pika
from pymongo.errors import PyMongoError
from redis.asyncio import Redis
from redis.exceptions import RedisError
from yarl import URL

from cli.findings import Finding, Level
from core.addresses import public_address
from core.connections import MongoClient
from core.redis_client import SentinelRedis

ANSWER_WITHIN_S = 3.0
PRIMARY, SECONDARY, ARBITER = 1, 2, 7
"""States of a replica set's member that is well (replSetGetStatus)."""


async def redis_findings(redis: Redis) -> AsyncGenerator[Finding, None]:
    """Tell which Sentinels answer, and whether the master has a replica that could take its place."""
    if not isinstance(redis, SentinelRedis):
        return
    name, sentinels = redis.master_name, redis.manager.sentinels
    states = await asyncio.gather(*(_master_state(sentinel, name) for sentinel in sentinels))
    told = [state for state in states if state is not None]
    said = f"{len(told)} of {len(sentinels)} answer"
    if len(told) == len(sentinels):
        yield Finding(Level.OK, "Sentinel", said)
    else:
        advice = "start the others: a majority of them has to agree on a new master"
        yield Finding(Level.BAD, "Sentinel", said, advice)
    if not told:
        return
    master = f"{told[0]['ip']}:{told[0]['port']}"
    replicas = min(int(state["num-slaves"]) for state in told)
    said = f"{name} is {master}, with {replicas} {'replica' if replicas == 1 else 'replicas'}"
    if replicas:
        yield Finding(Level.OK, "Redis' master", said)
    else:
        yield Finding(Level.BAD, "Redis' master", said, "start a replica: nobody could take the master's place")


async def _master_state(sentinel: Any, name: str) -> dict[str, Any] | None:
    try:
        state: dict[str, Any] = await sentinel.sentinel_master(name)
    except (RedisError, OSError, TimeoutError):
        return None
    return state


async def mongodb_findings(mongo: MongoClient, hello: dict[str, Any]) -> AsyncGenerator[Finding, None]:
    """Tell of the members of a replica set; who may not ask for their states is told how many there are."""
    name = hello.get("setName")
    if not name:
        return
    count = len(hello.get("hosts", ()))
    members = "1 member" if count == 1 else f"{count} members"
    said = f"{name}: {members}, {hello.get('primary', 'nobody')} is the primary"
    try:
        status = await mongo.admin.command("replSetGetStatus")
    except PyMongoError:
        yield Finding(Level.OK, "replica set", said)
        return
    ill = [member["name"] for member in status["members"] if member["state"] not in (PRIMARY, SECONDARY, ARBITER)]
    if ill:
        said = f"{name}: {', '.join(ill)} of {members} not well"
        yield Finding(Level.BAD, "replica set", said, "see their logs: without a majority nothing can be written")
    else:
        yield Finding(Level.OK, "replica set", f"{said}, all are well")


async def rabbitmq_findings(urls: Sequence[URL]) -> AsyncGenerator[Finding, None]:
    """Tell which nodes answer, where there are several."""
    if len(urls) == 1:
        return
    silent = [url for url, answers in zip(urls, await asyncio.gather(*map(_answers, urls)), strict=True) if not answers]
    said = f"{len(urls) - len(silent)} of {len(urls)} answer"
    if silent:
        said = f"{said}; not {', '.join(public_address(str(url)) for url in silent)}"
        yield Finding(Level.BAD, "nodes", said, "start them: queues need a majority of the nodes that have them")
    else:
        yield Finding(Level.OK, "nodes", said)


async def _answers(url: URL) -> bool:
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            connection = await aio_pika.connect(url)
            await connection.close()
    except (aio_pika.exceptions.AMQPError, OSError, TimeoutError):
        return False
    return True
