"""Followers that have been told all there is: they are told of an event where it is heard, and wait in no task."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import pytest
from redis.asyncio import Redis
from websockets.exceptions import ConnectionClosed

from core.connections import MongoClient
from core.errors import Unavailable
from core.events import Cursor
from core.settings import Settings
from gateway.app import create_app
from gateway.identity.settings import IdentitySettings
from gateway.opening import open_replica
from gateway.relay import Relay
from gateway.relay.history import Told
from gateway.relay.watch import Watch
from gateway.server import bind
from gateway.transports.limits import EdgeLimits
from tests.integration.gateway_schema import conftest as services
from tests.integration.gateway_transports.edge import Client, Edge, QuietServer
from tests.integration.gateway_transports.standin import Probe
from tests.integration.relay.conftest import eventually
from tests.integration.relay.follower import log_line
from tests.integration.relay.writer import Writer

settings = services.settings
CURSORS = "subscription ($id: ID!, $after: String) { taskEvents(id: $id, after: $after) { cursor } }"
TEXTS = """subscription ($id: ID!, $after: String) { taskEvents(id: $id, after: $after) {
  cursor ... on Logged { text } ... on StateChanged { status } } }"""
PROGRESS = """subscription ($id: ID!, $maxHz: Float) { taskProgress(id: $id, maxHz: $maxHz) {
  status progress { current } } }"""
WITHIN_S = 20.0


@pytest.fixture
async def edge(settings: Settings, mongo: MongoClient) -> AsyncIterator[Edge]:
    """A gateway on real services, in which nothing may be left at the end of the test."""
    limits = EdgeLimits()
    app = create_app(settings, limits, partial(open_replica, identity=IdentitySettings()))
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(bind("127.0.0.1", 0))
        listener.listen(100)
        await stack.enter_async_context(app.router.lifespan_context(app))
        server = QuietServer(app, limits)
        edge = Edge(app, server, Probe(), listener.getsockname()[1], asyncio.create_task(server.serve([listener])))
        stack.push_async_callback(edge.stop)
        yield edge
        await edge.wait_until_empty()
        await eventually(lambda: (relay_of(edge).watched, relay_of(edge).subscribers) == (0, 0))


@pytest.fixture
async def writer(edge: Edge, redis: Redis, settings: Settings) -> Writer:
    """The writer of a task that runs."""
    writer = await Writer.submit(redis, settings.namespace)
    await writer.queue()
    await writer.claim()
    return writer


class Listening:
    """One more follower, by which a test has hold of the watch."""

    def __init__(self) -> None:
        self.failed = asyncio.Event()

    def wake(self, _watch: Watch, *, urgent: bool) -> bool:
        """Need nothing."""
        return False

    def hear(self, _watch: Watch, _told: Told, _last: Cursor, *, urgent: bool) -> bool:
        """Need nothing."""
        return False


def relay_of(edge: Edge) -> Relay:
    """Return the relay of the gateway's replica."""
    relay: Relay = edge.app.state.replica.services.relay
    return relay


def in_tasks() -> int:
    """Return how many operations run in tasks now."""
    return sum(task.get_name().startswith("operation ") for task in asyncio.all_tasks())


async def subscribe(client: Client, ident: str, query: str, writer: Writer, **variables: Any) -> None:
    """Follow the task; a follower of events does so from the claim on, so that each begins with one."""
    after = {} if query is PROGRESS else {"after": str(Cursor(writer.cursor.epoch, 0))}
    await client.subscribe(ident, query, variables={"id": str(writer.task_id), **after, **variables})
    assert (await client.read())["id"] == ident


async def plan(edge: Edge, writer: Writer, query: str) -> None:
    """Have a plan made, which takes that a document comes again, and not too soon after another one."""
    async with edge.session() as client, asyncio.timeout(WITHIN_S):
        for ident in map(str, range(1000)):
            await subscribe(client, ident, query, writer)
            told = asyncio.create_task(eventually(lambda: not in_tasks(), 0.2))
            await asyncio.wait([told])
            await client.send(type="complete", id=ident)
            await eventually(lambda: relay_of(edge).subscribers == 0)
            if told.exception() is None:
                return


async def all_are_told(edge: Edge, followers: int) -> None:
    """Wait until so many follow, and none of them in a task."""
    await eventually(lambda: relay_of(edge).subscribers == followers and not in_tasks(), WITHIN_S)


def events(frames: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what the frames of taskEvents tell."""
    return [frame["payload"]["data"]["taskEvents"] for frame in frames]


async def test_each_gets_what_it_selected_once_and_in_order_and_then_the_end(edge: Edge, writer: Writer) -> None:
    for query in (CURSORS, TEXTS):
        await plan(edge, writer, query)
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(edge.session()) for _ in range(4)]
        for place, client in enumerate(clients):
            await subscribe(client, "s", CURSORS if place % 2 else TEXTS, writer)
        await all_are_told(edge, 4)
        before = writer.cursor.n
        for number in range(50):
            await log_line(writer, f"line {number}")
        told = [[await client.read() for _ in range(50)] for client in clients]
        assert not in_tasks()
        await writer.succeed()
        ends = [await client.read_until("complete") for client in clients]
    cursors = [f"{writer.cursor.epoch}-{before + 1 + number}" for number in range(51)]
    for place, (frames, end) in enumerate(zip(told, ends, strict=True)):
        lines = [{} if place % 2 else {"text": f"line {number}"} for number in range(50)]
        last = {} if place % 2 else {"status": "SUCCEEDED"}
        expected = [{"cursor": cursor, **told} for cursor, told in zip(cursors, [*lines, last], strict=True)]
        assert events([*frames, *end[:-1]]) == expected


async def test_slow_reader_holds_up_nobody_and_misses_nothing(edge: Edge, writer: Writer) -> None:
    await plan(edge, writer, TEXTS)
    async with edge.session(max_queue=1) as slow, edge.session() as fast:
        for client in (slow, fast):
            await subscribe(client, "s", TEXTS, writer)
        await all_are_told(edge, 2)
        sent = 0
        async with asyncio.timeout(WITHIN_S):
            while in_tasks() == 0:  # What the kernel's buffers hold is written at once.
                sent += 1
                await log_line(writer, str(sent) * 50_000)
                assert events([await fast.read()])[0]["text"].startswith(str(sent))
        for _ in range(5):
            sent += 1
            await log_line(writer, str(sent))
            assert events([await fast.read()])[0]["text"] == str(sent)
        assert in_tasks() == 1
        told = events([await slow.read() for _ in range(sent)])
        assert [one["text"][: len(str(number))] for number, one in enumerate(told, 1)] == [
            str(number) for number in range(1, sent + 1)
        ]
        await all_are_told(edge, 2)
        await log_line(writer, "both")
        for client in (slow, fast):
            assert events([await client.read()])[0]["text"] == "both"
        assert not in_tasks()


async def test_what_a_client_completes_is_told_no_more(edge: Edge, writer: Writer) -> None:
    await plan(edge, writer, TEXTS)
    async with edge.session() as client:
        for ident in ("left", "kept"):
            await subscribe(client, ident, TEXTS, writer)
        await all_are_told(edge, 2)
        await client.send(type="complete", id="left")
        await eventually(lambda: relay_of(edge).subscribers == 1)
        await log_line(writer, "later")
        assert (await client.read())["id"] == "kept"
        await subscribe(client, "left", TEXTS, writer)
        await client.send(type="ping")
        assert [frame["id"] for frame in (await client.read_until("pong"))[:-1]] == ["left"]


async def test_client_that_vanishes_is_left_in_no_table(edge: Edge, writer: Writer) -> None:
    await plan(edge, writer, CURSORS)
    async with edge.session() as gone, edge.session() as other:
        for client in (gone, other):
            await subscribe(client, "s", CURSORS, writer)
        await all_are_told(edge, 2)
        gone.connection.transport.abort()
        await eventually(lambda: relay_of(edge).subscribers == 1)
        await log_line(writer, "later")
        assert (await other.read())["type"] == "next"


async def test_socket_that_breaks_holds_up_no_other_follower(edge: Edge, writer: Writer) -> None:
    await plan(edge, writer, CURSORS)
    async with edge.session() as breaking:
        (socket,) = edge.app.state.sockets._open
        async with edge.session() as other:
            for client in (breaking, other):
                await subscribe(client, "s", CURSORS, writer)
            await all_are_told(edge, 2)
            follower = Listening()
            watch = relay_of(edge).join(writer.task_id, follower)

            async def break_down() -> None:
                raise RuntimeError("a bug")

            def fail(_broken: asyncio.Task[None]) -> None:
                watch.fail(Unavailable("MongoDB"))
                follower.failed.set()

            socket.tasks.create_task(break_down()).add_done_callback(fail)  # Called when the group has heard of it.
            async with asyncio.timeout(WITHIN_S):
                await follower.failed.wait()
            relay_of(edge).leave(watch, follower)
            assert (await other.read())["type"] == "error"
            with pytest.raises(ConnectionClosed):
                await breaking.read()


async def test_progress_comes_at_its_rate_and_the_latest_wins(edge: Edge, writer: Writer) -> None:
    await plan(edge, writer, PROGRESS)
    async with edge.session() as client:
        await subscribe(client, "s", PROGRESS, writer, maxHz=20)
        await all_are_told(edge, 1)
        began = asyncio.get_running_loop().time()
        for current in range(1, 201):
            await writer.progress(current, 1000)
        told = [await client.read()]
        while told[-1]["payload"]["data"]["taskProgress"]["progress"]["current"] < 200:
            told.append(await client.read())
        assert len(told) <= 2 + 20 * (asyncio.get_running_loop().time() - began)
        assert not in_tasks()
        await writer.succeed()
        end = await client.read_until("complete")
        assert [frame["payload"]["data"]["taskProgress"]["status"] for frame in end[:-1]] == ["SUCCEEDED"]


async def test_replica_that_stops_lets_go_of_who_is_told(edge: Edge, writer: Writer) -> None:
    await plan(edge, writer, CURSORS)
    async with edge.session() as client:
        await subscribe(client, "s", CURSORS, writer)
        await all_are_told(edge, 1)
        stopping = asyncio.create_task(edge.stop())
        assert await client.read_close() == (1012, "Service restart")
        await stopping
