"""`python -m loadtest.bench.headway_items PORT`: the whole gateway, with the bench's items where MongoDB would be."""

import asyncio
import sys

import uvloop

from core.garbage import keep_what_is_here
from core.settings import Settings
from core.telemetry import configure_logging
from gateway.app import create_app
from gateway.server import BACKLOG, Server, bind, make_room
from gateway.transports.limits import EdgeLimits
from loadtest.bench.in_process import items_in_memory, replica


async def serve(settings: Settings, limits: EdgeLimits) -> None:
    """Serve until told to stop."""
    make_room(limits.connections)
    with bind(settings.host, settings.port) as listener:
        app = create_app(settings, limits, replica)
        async with app.router.lifespan_context(app):
            listener.listen(BACKLOG)
            keep_what_is_here()
            await Server(app, limits).serve([listener])


def main() -> None:
    """Serve with the limits, the metrics and the log that a gateway has."""
    settings, limits = Settings(port=int(sys.argv[1])), EdgeLimits()
    configure_logging(settings, "gateway")
    with items_in_memory(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(settings, limits))


if __name__ == "__main__":
    main()
