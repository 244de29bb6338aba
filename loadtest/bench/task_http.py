"""A client of HTTP/1.1 that costs little beside what it measures: one request at a time on each kept connection."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit

import orjson

Answer = TypeVar("Answer")


class Connection:
    """One kept connection. `post` sends a JSON body and returns the answer's."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def post(self, path: str, body: object) -> Any:
        """Return the JSON of an answer with status 200. Raises AssertionError with any other."""
        payload = orjson.dumps(body)
        head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        self._writer.write(f"{head}content-length: {len(payload)}\r\n\r\n".encode() + payload)
        header = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = int(header.partition(b"content-length:")[2].partition(b"\r\n")[0])
        answer = await self._reader.readexactly(length)
        assert header.startswith(b"http/1.1 200"), answer[:500]
        return orjson.loads(answer)

    def close(self) -> None:
        """Close it."""
        self._writer.close()


async def connect(url: str) -> Connection:
    """Return a new connection to the host of a URL."""
    parts = urlsplit(url)
    return Connection(*await asyncio.open_connection(parts.hostname, parts.port))


async def spread(
    url: str, connections: int, works: Sequence[Callable[[Connection], Awaitable[Answer]]]
) -> list[Answer]:
    """Do all works in their order on so many connections at once; return their answers in no order."""
    left = iter(works)
    answers: list[Answer] = []

    async def turn() -> None:
        connection = await connect(url)
        try:
            for work in left:
                answers.append(await work(connection))
        finally:
            connection.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(min(connections, len(works))):
            group.create_task(turn())
    return answers
