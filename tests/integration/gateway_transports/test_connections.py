"""The server's side of a WebSocket: what it holds, and when it can't be written to any more."""

from typing import Any

import pytest
from uvicorn.protocols.utils import ClientDisconnected
from websockets.exceptions import ConnectionClosed

from gateway.transports.websocket_connection import PUSH, WebSocketConnection
from tests.integration.gateway_transports.edge import Client, Edge


def served(edge: Edge, client: Client) -> WebSocketConnection:
    """Return the server's side of a connection."""
    port = client.connection.local_address[1]
    sockets = [one for one in edge.server.server_state.connections if isinstance(one, WebSocketConnection)]
    return next(one for one in sockets if one.client and one.client[1] == port)


def push(connection: WebSocketConnection) -> bool:
    """Push a pong."""
    extensions: dict[str, Any] = connection.scope["extensions"] or {}
    pushed: bool = extensions[PUSH]["text"](b'{"type":"pong"}')
    return pushed


async def test_connection_that_breaks_holds_up_none_that_is_written_to_in_the_same_turn(edge: Edge) -> None:
    async with edge.session() as first, edge.session() as second:
        connections = [served(edge, client) for client in (first, second)]
        connections[0].transport.write_eof()  # From here on it raises when it is written to.
        assert [push(connection) for connection in connections] == [True, True]
        assert await second.read() == {"type": "pong"}
        with pytest.raises(ConnectionClosed):
            await first.read()
        assert push(connections[1])
        assert await second.read() == {"type": "pong"}


async def test_to_who_sends_a_peer_that_answered_no_ping_is_gone(edge: Edge) -> None:
    async with edge.session() as client:
        connection = served(edge, client)
        connection.keepalive_timeout()
        with pytest.raises(ClientDisconnected):
            await connection.send({"type": "websocket.send", "text": "late"})
        assert await client.read_close() == (1011, "keepalive ping timeout")


async def test_headers_are_let_go_of_when_it_is_known_who_this_is(edge: Edge) -> None:
    async with edge.session(additional_headers={"Authorization": "Bearer secret"}) as client:
        scope: dict[str, Any] = dict(served(edge, client).scope)
        assert (scope["headers"], scope["head"].fields) == ([], {})
