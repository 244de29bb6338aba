"""Opening a replica's services at start, and closing them in reverse order at the end."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from core.connections import open_amqp, open_mongo, open_redis
from core.publisher import DirectPublisher, Publisher, RabbitPublisher
from core.settings import Settings
from core.streams import EventStreams
from gateway.context import Services
from gateway.identity.opening import open_authenticator, open_budget
from gateway.identity.settings import IdentitySettings
from gateway.metrics import BOARDS, RELAY_LAG, SUBSCRIBERS, WATCHED_TASKS
from gateway.relay import Relay
from gateway.replica import Replica
from gateway.schema import build_schema
from gateway.submit import Submitter
from gateway.trusted_store import StoredDocuments
from jobs.kinds import load_kinds


@asynccontextmanager
async def open_replica(settings: Settings, identity: IdentitySettings | None = None) -> AsyncIterator[Replica]:
    """Connect to every service and build the schema. Raises StartupError naming the service that does not answer.

    `identity` None is what the environment says.
    """
    identity = identity or IdentitySettings()
    async with AsyncExitStack() as stack:
        mongo = await open_mongo(settings)
        stack.push_async_callback(mongo.close)
        redis = await open_redis(settings)
        stack.push_async_callback(redis.aclose)
        publisher: Publisher
        if settings.broker == "rabbitmq":
            amqp = await open_amqp(settings)
            stack.push_async_callback(amqp.close)
            publisher = RabbitPublisher(amqp, settings.namespace)
        else:
            publisher = DirectPublisher(redis, settings.namespace)
        kinds = load_kinds(settings.extra_kinds)
        streams = EventStreams(redis, settings.namespace)
        relay = await stack.enter_async_context(Relay(redis, streams, settings.namespace))
        WATCHED_TASKS.set_function(lambda: relay.watched)
        SUBSCRIBERS.set_function(lambda: relay.subscribers)
        RELAY_LAG.set_function(lambda: relay.lag_s)
        BOARDS.set_function(lambda: relay.boards.subscribers)
        submitter = Submitter(settings, publisher, streams)
        stack.push_async_callback(submitter.aclose)
        services = Services(settings, kinds, mongo, redis, publisher, streams, relay, submitter)
        authenticator = open_authenticator(identity, stack)
        budget = open_budget(identity, redis, settings.namespace)
        yield Replica(services, build_schema(kinds), authenticator, budget, StoredDocuments())
