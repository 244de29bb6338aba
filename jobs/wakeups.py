"""Listens on Redis channels for hints to look at once. A hint may be lost: whoever is woken also looks by itself."""

import asyncio
from collections.abc import Callable, Mapping

from redis.asyncio import Redis
from redis.exceptions import RedisError

from core.telemetry import get_logger

RECONNECT_S = 0.5
READ_TIMEOUT_S = 5.0

log = get_logger(__name__)


async def listen(redis: Redis, handlers: Mapping[str, Callable[[bytes], None]]) -> None:
    """Call a channel's handler with each message's data until cancelled; reconnects after an outage.

    Every handler is also called, with no data, whenever the connection is new: something may have been missed.
    """
    while True:
        try:
            async with redis.pubsub() as pubsub:
                await pubsub.subscribe(*handlers)
                while True:
                    message = await pubsub.get_message(timeout=READ_TIMEOUT_S)
                    if message is None:
                        await pubsub.ping()
                    elif message["type"] == "subscribe":
                        handlers[message["channel"].decode()](b"")
                    elif message["type"] == "message":
                        handlers[message["channel"].decode()](message["data"])
        except (RedisError, OSError, TimeoutError) as exc:
            log.warning("Wake-ups wait for Redis", error=str(exc))
            await asyncio.sleep(RECONNECT_S)
