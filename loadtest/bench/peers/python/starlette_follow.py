"""The limit of the follow path in Python: Starlette tells each event to who follows its task, with no GraphQL at all.

One connection to Redis for the whole process; a message's text is made once and sent to each follower in turn.
"""

import asyncio
import os
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

followers: defaultdict[str, set[WebSocket]] = defaultdict(set)


def text_of(data: bytes) -> str:
    """Return the message that all followers of a task are sent."""
    told = orjson.loads(data)
    progress = {key: told[key] for key in ("current", "total", "percent", "message")}
    event = {"cursor": told["cursor"], "at": told["at"], "attempt": told["attempt"], "progress": progress}
    return orjson.dumps({"id": "1", "type": "next", "payload": {"data": {"taskEvents": event}}}).decode()


async def tell(pubsub: PubSub) -> None:
    """Send on what comes from Redis."""
    while True:
        message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=None)
        if message is not None:
            text = text_of(message["data"])
            for websocket in list(followers[message["channel"].decode().removeprefix("bench:")]):
                await websocket.send_text(text)


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """Hear of all tasks while the process runs."""
    async with Redis.from_url(os.environ["REDIS_URL"]) as redis, redis.pubsub() as pubsub:
        await pubsub.psubscribe("bench:*")
        telling = asyncio.create_task(tell(pubsub), name="tell")
        yield
        telling.cancel()


async def follow(websocket: WebSocket) -> None:
    """Take the messages of graphql-transport-ws that a follower begins with, then keep it among the others."""
    await websocket.accept("graphql-transport-ws")
    await websocket.receive_text()
    await websocket.send_text('{"type":"connection_ack"}')
    task_id = orjson.loads(await websocket.receive_text())["payload"]["variables"]["id"]
    followers[task_id].add(websocket)
    try:
        while True:
            await websocket.receive_text()
    except WebSocketDisconnect:
        followers[task_id].discard(websocket)


app = Starlette(routes=[WebSocketRoute("/graphql", follow)], lifespan=lifespan)
