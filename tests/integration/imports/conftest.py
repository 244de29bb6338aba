"""A gateway on real services, served in this process, and a client of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest

from core.settings import Settings
from gateway.app import create_app
from gateway.server import bind
from gateway.transports.limits import EdgeLimits
from tests.integration.gateway_transports.edge import QuietServer


@dataclass
class Gateway:
    """A running gateway."""

    port: int
    client: httpx.AsyncClient


@asynccontextmanager
async def serving(settings: Settings, limits: EdgeLimits) -> AsyncIterator[Gateway]:
    """Serve on a free port."""
    app = create_app(settings, limits)
    with bind("127.0.0.1", 0) as listener:
        listener.listen(100)
        async with app.router.lifespan_context(app):
            server = QuietServer(app, limits)
            running = asyncio.create_task(server.serve([listener]))
            port = listener.getsockname()[1]
            try:
                async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
                    yield Gateway(port, client)
            finally:
                server.should_exit = True
                await running


@pytest.fixture
async def gateway(settings: Settings, mongo: object, request: pytest.FixtureRequest) -> AsyncIterator[Gateway]:
    """A gateway with the default limits, save for files of at most 2 MB where a test is not about large ones."""
    size = 16 * 1024 * 1024 if "megabytes" in request.node.name else 2_000_000
    async with serving(settings, EdgeLimits(max_import_bytes=size, uploads=2)) as gateway:
        yield gateway
