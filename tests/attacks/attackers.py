"""What an attacker is made of: bare HTTP requests and WebSocket frames, right or wrong."""

import asyncio
import base64
import os
import re
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import orjson
from websockets.frames import Frame, Opcode

from tests.attacks.target import Target

INIT = '{"type":"connection_init"}'


async def post(
    target: Target, body: bytes | object, headers: Mapping[str, str] | None = None, times: int = 1
) -> list[dict[str, Any]]:
    """POST to /graphql, `times` times side by side; return the answers and note their statuses."""
    return await post_all(target, [body if isinstance(body, bytes) else orjson.dumps(body)] * times, headers)


async def post_all(
    target: Target, bodies: Sequence[bytes], headers: Mapping[str, str] | None = None
) -> list[dict[str, Any]]:
    """POST each body to /graphql, side by side; return the answers and note their statuses."""
    given = {"content-type": "application/json", "accept": "application/graphql-response+json", **(headers or {})}
    async with httpx.AsyncClient(base_url=target.url, timeout=120) as client:
        answers = await asyncio.gather(*(client.post("/graphql", content=body, headers=given) for body in bodies))
    target.statuses += [answer.status_code for answer in answers]
    return [answer.json() for answer in answers]


def codes(answers: list[dict[str, Any]]) -> set[str]:
    """Return the codes of all errors in the answers."""
    return {error["extensions"]["code"] for answer in answers for error in answer.get("errors", [])}


@dataclass
class Raw:
    """A TCP connection to the gateway."""

    target: Target
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(data)

    def frame(self, text: str | bytes, opcode: Opcode = Opcode.TEXT, *, fin: bool = True) -> None:
        """Send one masked frame."""
        self.send(frame(text, opcode, fin=fin))

    async def read_status(self) -> int:
        """Return the status of the next HTTP answer, and note it."""
        async with asyncio.timeout(30):
            head = await self.reader.readuntil(b"\r\n\r\n")
        found = re.match(rb"HTTP/1.1 (\d+)", head)
        assert found is not None
        self.target.statuses.append(int(found[1]))
        return int(found[1])

    async def read_close(self, within_s: float = 30) -> int:
        """Read frames to the close frame; return its code. 1006 where the connection ends without one."""
        async with asyncio.timeout(within_s):
            try:
                while True:
                    first, second = await self.reader.readexactly(2)
                    size = second & 127
                    if size > 125:
                        size = int.from_bytes(await self.reader.readexactly(2 if size == 126 else 8), "big")
                    payload = await self.reader.readexactly(size)
                    if first & 15 == Opcode.CLOSE:
                        return int.from_bytes(payload[:2], "big")
            except (asyncio.IncompleteReadError, ConnectionError):
                return 1006

    async def read_end(self) -> None:
        """Return once the gateway has closed the connection."""
        async with asyncio.timeout(30):
            try:
                while await self.reader.read(65_536):
                    pass
            except ConnectionError:
                return


def frame(text: str | bytes, opcode: Opcode = Opcode.TEXT, *, fin: bool = True) -> bytes:
    """Return one masked frame."""
    data = text.encode() if isinstance(text, str) else text
    return Frame(opcode, data, fin).serialize(mask=True)


@asynccontextmanager
async def connected(target: Target, *, reads: bool = True) -> AsyncIterator[Raw]:
    """Open a TCP connection, whose reader takes next to nothing if it does not read; drop it at the end."""
    bare = socket.socket()
    if not reads:
        bare.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    bare.setblocking(False)
    await asyncio.get_running_loop().sock_connect(bare, ("127.0.0.1", target.port))
    reader, writer = await asyncio.open_connection(sock=bare)
    if not reads:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
    try:
        yield Raw(target, reader, writer)
    finally:
        writer.transport.abort()


def handshake(**headers: str) -> bytes:
    """Return the request that opens a WebSocket."""
    given = {
        "Host": "127.0.0.1",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        "Sec-WebSocket-Protocol": "graphql-transport-ws",
        **headers,
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    return f"GET /graphql HTTP/1.1\r\n{lines}\r\n".encode()


@asynccontextmanager
async def opened(target: Target, *, init: bool = True) -> AsyncIterator[Raw]:
    """Open a WebSocket and, unless told otherwise, have it acknowledged."""
    async with connected(target) as raw:
        raw.send(handshake())
        assert await raw.read_status() == 101
        if init:
            raw.frame(INIT)
            async with asyncio.timeout(30):
                assert b"connection_ack" in await raw.reader.readuntil(b"}")
        yield raw


def subscribe(ident: str, query: str) -> str:
    """Return the message that starts an operation."""
    return orjson.dumps({"id": ident, "type": "subscribe", "payload": {"query": query}}).decode()
