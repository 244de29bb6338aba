"""A live gateway in this process, and a bare client that speaks graphql-transport-ws word by word."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from core.settings import Settings
from gateway.app import Gateway, create_app
from gateway.server import Server, bind
from gateway.transports.limits import EdgeLimits
from tests.integration.gateway_transports.standin import Probe, opening

PROTOCOL = Subprotocol("graphql-transport-ws")
JSON = "application/json"
RESPONSE_JSON = "application/graphql-response+json"


class QuietServer(Server):
    """The gateway's server, which leaves pytest its signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Change nothing."""
        yield


@dataclass
class Edge:
    """A running gateway on the stand-in schema."""

    app: Gateway
    server: QuietServer
    probe: Probe
    port: int
    serving: asyncio.Task[None]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/graphql"

    @property
    def running_operations(self) -> int:
        running: int = self.app.state.sockets.running_operations + self.app.state.streams.running_operations
        return running

    async def wait_until_empty(self) -> None:
        """Return once no socket, no event stream and no operation is left."""
        async with asyncio.timeout(10):
            while self._has_open_connections() or self.running_operations:  # noqa: ASYNC110  # The tables have no event.
                await asyncio.sleep(0.01)
            while any(task.get_name().startswith("event stream") for task in asyncio.all_tasks()):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("operation ")]

    def _has_open_connections(self) -> bool:
        return bool(len(self.app.state.sockets) or len(self.app.state.streams))

    async def stop(self) -> None:
        """Stop as SIGTERM does."""
        self.server.should_exit = True
        await self.serving

    @asynccontextmanager
    async def connect(self, *protocols: str, **options: Any) -> AsyncIterator["Client"]:
        """Open a socket, with the right subprotocol unless told otherwise."""
        offered = [Subprotocol(name) for name in protocols] or [PROTOCOL]
        async with connect(self.ws_url, subprotocols=offered, compression=None, **options) as connection:
            yield Client(connection)

    @asynccontextmanager
    async def session(self, **options: Any) -> AsyncIterator["Client"]:
        """Open a socket and have it acknowledged."""
        async with self.connect(**options) as client:
            await client.send(type="connection_init")
            assert await client.read() == {"type": "connection_ack"}
            yield client


@dataclass
class Client:
    """One WebSocket."""

    connection: ClientConnection

    async def send(self, **message: Any) -> None:
        await self.connection.send(json.dumps(message))

    async def subscribe(self, ident: str, query: str, **payload: Any) -> None:
        await self.send(id=ident, type="subscribe", payload={"query": query, **payload})

    async def read(self) -> dict[str, Any]:
        """Return the next frame, which has to be text."""
        async with asyncio.timeout(10):
            frame = await self.connection.recv()
        assert isinstance(frame, str)
        message: dict[str, Any] = json.loads(frame)
        return message

    async def read_until(self, kind: str) -> list[dict[str, Any]]:
        """Return the frames up to and with the next one of a type."""
        frames = [await self.read()]
        while frames[-1]["type"] != kind:
            frames.append(await self.read())
        return frames

    async def _read_all(self) -> None:
        while True:
            await self.read()

    async def read_close(self) -> tuple[int, str]:
        """Read to the end; return the close frame's code and reason."""
        with pytest.raises(ConnectionClosed) as closed:
            await self._read_all()
        assert closed.value.rcvd is not None
        return closed.value.rcvd.code, closed.value.rcvd.reason


@asynccontextmanager
async def running_edge(limits: EdgeLimits, settings: Settings) -> AsyncIterator[Edge]:
    """Serve on a free port; at the end everything must have gone by itself."""
    probe = Probe()
    app = create_app(settings, limits, opening(probe))
    with bind("127.0.0.1", 0) as listener:
        listener.listen(100)
        async with app.router.lifespan_context(app):
            server = QuietServer(app, limits)
            serving = asyncio.create_task(server.serve([listener]))
            edge = Edge(app, server, probe, listener.getsockname()[1], serving)
            try:
                yield edge
                await edge.wait_until_empty()
            finally:
                await edge.stop()


def code_of(response: httpx.Response) -> str:
    """Return the code of the only error of a response that has no data and may not be cached."""
    body = response.json()
    assert list(body) == ["errors"]
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["content-type"].split(";")[0] in (JSON, RESPONSE_JSON)
    (error,) = body["errors"]
    code: str = error["extensions"]["code"]
    return code
