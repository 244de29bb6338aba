"""`python -m gateway`: one gateway process."""

import asyncio
import logging
import sys

import uvloop

from core.errors import StartupError
from core.settings import Settings
from core.telemetry import configure_logging
from gateway.server import serve
from gateway.transports.limits import EdgeLimits


def main() -> int:
    """Serve until told to stop; return the exit code."""
    settings = Settings()
    configure_logging(settings, "gateway")
    logging.getLogger("uvicorn.error").setLevel(max(logging.WARNING, logging.getLogger().level))
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(settings, EdgeLimits()))
    except StartupError as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
