"""A TCP relay between a client and a real service that a test can cut and mend, or make silent."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit, urlunsplit


class Proxy:
    """While cut it drops what is connected and refuses what comes. With a `context` it ends TLS.

    While `is_silent` it swallows what clients send, and keeps their connections.
    """

    context: ssl.SSLContext | None = None
    is_silent = False

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._port = 0
        self._pipes: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        """Where clients connect."""
        return f"127.0.0.1:{self._port}"

    async def mend(self) -> None:
        """Listen, always on the same port."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self._port, ssl=self.context)
        self._port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Drop every connection and refuse new ones."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for pipe in list(self._pipes):
            pipe.cancel()
        await asyncio.gather(*self._pipes, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._pipes.add(task)
        try:
            to_reader, to_writer = await asyncio.open_connection(*self._target)
            with suppress(OSError):
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._pump(reader, to_writer, from_client=True))
                    group.create_task(self._pump(to_reader, writer, from_client=False))
        except (OSError, asyncio.CancelledError, ExceptionGroup):
            pass
        finally:
            self._pipes.discard(task)
            writer.transport.abort()
            with suppress(UnboundLocalError):
                to_writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, from_client: bool) -> None:
        while data := await reader.read(65_536):
            if from_client and self.is_silent:
                continue
            writer.write(data)
            await writer.drain()
        writer.close()


@asynccontextmanager
async def proxied(url: str) -> AsyncIterator[tuple[Proxy, str]]:
    """Run a proxy to the service of a URL; yield it and the URL that leads through it."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    proxy = Proxy(parts.hostname, parts.port)
    await proxy.mend()
    credentials, at, _ = parts.netloc.rpartition("@")
    try:
        yield proxy, urlunsplit(parts._replace(netloc=f"{credentials}{at}{proxy.address}"))
    finally:
        await proxy.cut()
