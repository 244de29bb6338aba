"""`python -m loadtest.bench.headway_items PORT`: the whole gateway, with the bench's items where MongoDB would be."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import uvloop

from core.documents import Item
from core.settings import Settings
from core.telemetry import configure_logging
from gateway.app import create_app
from gateway.context import Services
from gateway.replica import Replica
from gateway.server import BACKLOG, Server, bind, make_room
from gateway.transports.limits import EdgeLimits
from loadtest.bench.reading import KINDS, SCHEMA, Stored


@asynccontextmanager
async def in_memory(_settings: Settings) -> AsyncIterator[Replica]:
    """Open a replica that has no services: items are all that is asked for."""
    yield Replica(cast(Services, SimpleNamespace(kinds=KINDS)), SCHEMA)


async def serve(settings: Settings, limits: EdgeLimits) -> None:
    """Serve until told to stop."""
    make_room(limits.connections)
    with bind(settings.host, settings.port) as listener:
        app = create_app(settings, limits, in_memory)
        async with app.router.lifespan_context(app):
            listener.listen(BACKLOG)
            await Server(app, limits).serve([listener])


def main() -> None:
    """Serve with the limits, the metrics and the log that a gateway has."""
    settings, limits = Settings(port=int(sys.argv[1])), EdgeLimits()
    configure_logging(settings, "gateway")
    Item.get_pymongo_collection = cast(Any, Stored)  # type: ignore[method-assign]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(settings, limits))


if __name__ == "__main__":
    main()
