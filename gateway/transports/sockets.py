"""The endpoint for WebSockets, and all sockets of this replica that are open."""

import asyncio

from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from gateway.metrics import OPEN_SOCKETS
from gateway.operations import Operations
from gateway.replica import Replica
from gateway.responses import json_error
from gateway.transports.caps import RETRY_AFTER_S, CapReached, Caps
from gateway.transports.limits import EdgeLimits
from gateway.transports.websocket import Socket


class Sockets:
    """All open sockets of this replica."""

    def __init__(self) -> None:
        self._open: set[Socket] = set()

    def __len__(self) -> int:
        return len(self._open)

    @property
    def running_operations(self) -> int:
        """How many operations run on all sockets."""
        return sum(len(socket.running) for socket in self._open)

    async def serve(self, socket: Socket) -> None:
        """Keep the socket in the table while it is open."""
        self._open.add(socket)
        try:
            OPEN_SOCKETS.inc()
            await socket.serve()
        finally:
            OPEN_SOCKETS.dec()
            self._open.discard(socket)

    async def leave(self, within_s: float) -> None:
        """Close every socket as `Socket.leave` says."""
        await asyncio.gather(*(socket.leave(within_s) for socket in self._open))


class GraphQLWebSocket:
    """The endpoint `/graphql` for WebSockets."""

    def __init__(
        self, replica: Replica, operations: Operations, sockets: Sockets, caps: Caps, limits: EdgeLimits
    ) -> None:
        self._replica = replica
        self._operations = operations
        self._sockets = sockets
        self._caps = caps
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        websocket = WebSocket(scope, receive, send)
        address = websocket.client.host if websocket.client else ""
        try:
            self._caps.sockets.take(address)
        except CapReached as exc:
            retry = {"retry-after": str(RETRY_AFTER_S)}
            await websocket.send_denial_response(json_error(429, "RATE_LIMITED", str(exc), retry))
            return
        try:
            await self._sockets.serve(Socket(websocket, self._replica, self._operations, self._limits))
        finally:
            self._caps.sockets.give_back(address)
