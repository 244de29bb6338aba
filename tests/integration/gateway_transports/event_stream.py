"""A client of event streams: what it opens, what it sends on a reserved one, and the events it reads."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

EVENTS = {"accept": "text/event-stream"}
TOKEN = "x-graphql-event-stream-token"


@dataclass
class Stream:
    """The events of one response."""

    response: httpx.Response
    _lines: AsyncIterator[str]

    async def read_block(self) -> list[str]:
        """Return the lines up to the next empty one; none at the end of the stream."""
        block: list[str] = []
        async with asyncio.timeout(10):
            async for line in self._lines:
                if not line:
                    return block
                block.append(line)
        return block

    async def read(self) -> tuple[str, Any] | None:
        """Return the next event's name and data, past comments; None at the end of the stream."""
        while block := await self.read_block():
            if block != [":"]:
                name, data = block
                text = data.removeprefix("data:").strip()
                return name.removeprefix("event: "), json.loads(text) if text else None
        return None

    async def read_all(self) -> list[tuple[str, Any]]:
        events = []
        while event := await self.read():
            events.append(event)
        return events


@asynccontextmanager
async def opened(client: httpx.AsyncClient, method: str = "GET", **request: Any) -> AsyncIterator[Stream]:
    """Open an event stream."""
    headers = EVENTS | request.pop("headers", {})
    async with client.stream(method, "/graphql", headers=headers, **request) as response:
        assert response.status_code == 200, await response.aread()
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert response.headers["cache-control"] == "no-cache"
        stream = Stream(response, response.aiter_lines())
        assert await stream.read_block() == [":"]
        yield stream


async def reserve(client: httpx.AsyncClient) -> dict[str, str]:
    """Reserve a stream; return the headers that carry its token."""
    response = await client.put("/graphql")
    assert response.status_code == 201
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    return {TOKEN: response.text}


async def start(
    client: httpx.AsyncClient, token: dict[str, str], ident: str, query: str, **body: Any
) -> httpx.Response:
    """Start an operation on a reserved stream."""
    extensions = {"operationId": ident}
    return await client.post("/graphql", json={"query": query, "extensions": extensions, **body}, headers=token)


def told(ident: str, data: dict[str, Any]) -> tuple[str, Any]:
    return "next", {"id": ident, "payload": {"data": data}}
