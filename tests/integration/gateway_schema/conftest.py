"""A replica's services on real servers, and the schema executed on them without a transport."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
from redis.asyncio import Redis

from core.connections import MongoClient, open_amqp
from core.publisher import DirectPublisher, Publisher, RabbitPublisher
from core.settings import Settings
from core.streams import EventStreams
from gateway.context import Services
from gateway.relay import Relay
from gateway.schema import build_schema
from gateway.submit import Submitter
from jobs.kinds import load_kinds
from tests.integration.gateway_schema.asking import Gateway
from tests.unit.gateway_schema.sample_kind import PAINT

OpenGateway = Callable[[Publisher | None, Redis | None], Awaitable[Gateway]]


@pytest.fixture
def settings(mongo_url: str, redis_url: str) -> Settings:
    """Settings without a broker, with a namespace and a database that no other test has."""
    name = f"t{secrets.token_hex(6)}"
    return Settings(
        mongo_url=mongo_url,
        redis_url=redis_url,
        mongo_database=name,
        mongo_pool_min=0,
        namespace=name,
        broker="direct",
        startup_wait_s=5,
        log_level="warning",
    )


@pytest.fixture
async def open_gateway(mongo: MongoClient, redis: Redis, settings: Settings) -> AsyncIterator[OpenGateway]:
    """Make gateways with another publisher or another way to Redis; they are closed after the test."""
    async with AsyncExitStack() as stack:

        async def open_one(publisher: Publisher | None = None, its_redis: Redis | None = None) -> Gateway:
            used = its_redis or redis
            publisher = publisher or DirectPublisher(used, settings.namespace)
            streams = EventStreams(used, settings.namespace)
            relay = await stack.enter_async_context(Relay(redis, streams, settings.namespace))
            submitter = Submitter(settings, publisher, streams)
            stack.push_async_callback(submitter.aclose)
            kinds = {**load_kinds(), PAINT.name: PAINT}
            services = Services(settings, kinds, mongo, used, publisher, streams, relay, submitter)
            return Gateway(build_schema(kinds), services)

        yield open_one


@pytest.fixture
async def gateway(open_gateway: OpenGateway) -> Gateway:
    """A replica without a broker."""
    return await open_gateway(None, None)


@pytest.fixture
async def rabbit_publisher(amqp_url: str, settings: Settings) -> AsyncIterator[RabbitPublisher]:
    """A publisher on the real RabbitMQ; its queues go with the session's server."""
    connection = await open_amqp(settings.model_copy(update={"amqp_url": amqp_url}))
    yield RabbitPublisher(connection, settings.namespace)
    await connection.close()
