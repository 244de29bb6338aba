"""When the pub/sub connection counts as lost."""

import asyncio
import time
from typing import cast

import pytest
from redis.asyncio import Redis

from gateway.relay import channels
from gateway.relay.channels import Channels
from tests.unit.relay.world import FakePubSub, FakeRedis, World


class Heard:
    """A listener that counts losses."""

    def __init__(self) -> None:
        self.losses = asyncio.Queue[None]()

    def heard(self, channel: str, data: bytes) -> None:
        """Take a message."""

    def confirmed(self, channel: str) -> None:
        """Take note of a confirmation."""

    def lost(self) -> None:
        """Count a loss."""
        self.losses.put_nowait(None)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "PING_EVERY_S", 0.05)
    monkeypatch.setattr(channels, "SILENCE_S", 0.12)


async def connected(world: World, listener: Heard) -> tuple[Channels, asyncio.Task[None]]:
    """Return channels whose connection is up."""
    opened = Channels(cast("Redis", FakeRedis(world)), listener, "base")
    running = asyncio.create_task(opened.run())
    while world.pubsub is None or not world.pubsub.sent:  # noqa: ASYNC110  # The world has no event for it.
        await asyncio.sleep(0)
    world.pubsub.arrive()
    await opened.up.wait()
    return opened, running


async def closed(opened: Channels, running: asyncio.Task[None]) -> None:
    opened.stop()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_loop_that_was_held_up_takes_no_connection_for_dead() -> None:
    listener = Heard()
    opened, running = await connected(World(), listener)
    for _ in range(3):
        time.sleep(0.3)  # noqa: ASYNC251  # It is what holds the loop up.
        await asyncio.sleep(0.11)
    assert listener.losses.empty()
    await closed(opened, running)


async def test_connection_that_says_nothing_is_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unanswered(_self: FakePubSub) -> None:
        """Take a ping."""

    listener = Heard()
    opened, running = await connected(World(), listener)
    monkeypatch.setattr(FakePubSub, "ping", unanswered)
    async with asyncio.timeout(10):
        await listener.losses.get()
    await closed(opened, running)
