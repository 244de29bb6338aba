"""Stored tasks on their way to the broker, while something on the way does not answer."""

import asyncio

import pytest
from redis.asyncio import Redis

from core.messages import TaskMessage
from core.states import Priority
from core.streams import EventStreams
from gateway import handover
from gateway.handover import HandOver
from tests.integration.control.conftest import Store


class Taken:
    """A publisher that keeps what it is given, where no broker is to hold it."""

    def __init__(self) -> None:
        self.tickets: list[str] = []

    async def publish(self, message: TaskMessage, priority: Priority) -> bool:
        """Keep the ticket."""
        self.tickets.append(message.ticket)
        return False

    async def check(self) -> None:
        """It always answers."""


async def test_message_does_not_wait_for_a_redis_that_is_silent(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "APPEND_WAIT_S", 60.0)
    silent = await asyncio.start_server(lambda _, writer: connections.append(writer), "127.0.0.1", 0)
    connections: list[asyncio.StreamWriter] = []
    redis = Redis(port=silent.sockets[0].getsockname()[1])
    publisher, task = Taken(), await store()
    hand_over = HandOver(publisher, EventStreams(redis, "silent"), confirm_wait_s=60.0)
    async with asyncio.timeout(20.0):
        await hand_over.submit_all([task])
    assert publisher.tickets == [f"{task.id}:1"]
    await hand_over.aclose(deadline_s=0.0)
    for connection in connections:
        connection.close()
    silent.close()
    await silent.wait_closed()
    await redis.aclose()
