"""`python -m gateway`: one gateway process."""

import asyncio
import logging
import os
import socket
import sys

import uvloop
from pydantic import ValidationError

from core.errors import StartupError
from core.settings import Settings
from core.telemetry import configure_logging
from core.tracing import traced_process
from gateway.identity.settings import IdentitySettings
from gateway.server import serve
from gateway.transports.limits import EdgeLimits


def main() -> int:
    """Serve until told to stop; return the exit code."""
    try:
        settings, limits, identity = Settings(), EdgeLimits(), IdentitySettings()
        configure_logging(settings, "gateway")
        logging.getLogger("uvicorn.error").setLevel(max(logging.WARNING, logging.getLogger().level))
        name = f"gateway-{socket.gethostname()}-{os.getpid()}"
        runner_of = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        with traced_process(settings, "gateway", name), runner_of as runner:
            runner.run(serve(settings, limits, identity))
    except ValidationError as exc:
        sys.stderr.write(f"{_describe(exc)}\n")
        return 1
    except StartupError as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    return 0


def _describe(exc: ValidationError) -> str:
    """Return which variable is wrong and how, without its value, which may be a secret."""
    wrong = exc.errors(include_url=False, include_input=False)[0]
    if not wrong["loc"]:
        return wrong["msg"]
    name = str(wrong["loc"][0])
    return f"{name if name.isupper() else f'HEADWAY_{name.upper()}'}: {wrong['msg']}"


if __name__ == "__main__":
    sys.exit(main())
