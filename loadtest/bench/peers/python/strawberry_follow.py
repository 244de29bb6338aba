"""Following tasks by Strawberry, as it comes: each subscription has a connection to Redis of its own."""

import json
import os
from collections.abc import AsyncGenerator
from datetime import datetime

import strawberry
from redis.asyncio import Redis
from strawberry.asgi import GraphQL

REDIS_URL = os.environ["REDIS_URL"]
CONNECT_WITHIN_S = 120
"""By default some fail where thousands subscribe at once."""


@strawberry.interface
class TaskEvent:
    """Something that happened to a task."""

    cursor: str
    at: datetime
    attempt: int


@strawberry.type
class Progress:
    """How far an attempt is."""

    current: int
    total: int | None
    percent: float | None
    message: str | None


@strawberry.type
class Progressed(TaskEvent):
    """The running attempt moved on."""

    progress: Progress


@strawberry.type
class Query:
    """The root that a schema must have."""

    @strawberry.field
    def version(self) -> str:
        """Tell nothing of use."""
        return "1"


@strawberry.type
class Subscription:
    """The root that follows tasks."""

    @strawberry.subscription
    async def task_events(self, id: strawberry.ID, after: str | None = None) -> AsyncGenerator[TaskEvent, None]:
        """Yield every event of a task from now on."""
        redis = Redis.from_url(REDIS_URL, socket_connect_timeout=CONNECT_WITHIN_S)
        async with redis, redis.pubsub(ignore_subscribe_messages=True) as pubsub:
            await pubsub.subscribe(f"bench:{id}")
            async for message in pubsub.listen():
                told = json.loads(message["data"])
                yield Progressed(
                    cursor=told["cursor"],
                    at=datetime.fromisoformat(told["at"]),
                    attempt=told["attempt"],
                    progress=Progress(
                        current=told["current"],
                        total=told["total"],
                        percent=told["percent"],
                        message=told["message"],
                    ),
                )


app = GraphQL[None, None](strawberry.Schema(Query, subscription=Subscription, types=[Progressed]))
