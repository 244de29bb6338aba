"""One subscription over one WebSocket, as graphql-transport-ws has it."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

SUBPROTOCOL = Subprotocol("graphql-transport-ws")
OPEN_TIMEOUT_S = 5.0


class Refused(Exception):
    """The server answered with an error that trying again does not change; its code is the argument."""


class Interrupted(ConnectionError):
    """The server can't go on just now, or left without saying that this was all."""


BREAKS = (OSError, WebSocketException, TimeoutError, EOFError)
"""What a client comes back after."""


async def subscribe(address: str, query: str, variables: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
    """Yield the data of each `next`; end with `complete`. Raises Refused, or one of BREAKS when the connection ends."""
    async with connect(
        address,
        subprotocols=[SUBPROTOCOL],
        open_timeout=OPEN_TIMEOUT_S,
        ping_interval=5,
        ping_timeout=5,
        close_timeout=1,
        compression=None,
        max_queue=4,
    ) as socket:
        async with asyncio.timeout(OPEN_TIMEOUT_S):
            await socket.send('{"type":"connection_init"}', text=True)
            await socket.recv()
        payload = {"query": query, "variables": variables}
        await socket.send(orjson.dumps({"id": "1", "type": "subscribe", "payload": payload}), text=True)
        async for data in _data(socket):
            yield data


async def _data(socket: ClientConnection) -> AsyncGenerator[dict[str, Any], None]:
    async for text in socket:
        frame = orjson.loads(text)
        match frame["type"]:
            case "next" if frame["payload"].get("data"):
                yield frame["payload"]["data"]
            case "next":
                raise Interrupted(str(frame["payload"]["errors"]))
            case "error":
                code = frame["payload"][0].get("extensions", {}).get("code", "?")
                raise Interrupted(code) if code == "UNAVAILABLE" else Refused(code)
            case "complete":
                return
    raise Interrupted("the server closed the socket before it was complete")
