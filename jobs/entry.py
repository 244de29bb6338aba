"""How a bridge or a worker begins as a process: settings, logs, its name, and one line when it can't start."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from uuid import uuid4

import structlog
import uvloop

from core.errors import StartupError
from core.settings import Settings
from core.telemetry import configure_logging
from core.tracing import traced_process


def run_process(role: str, run: Callable[[Settings, str], Awaitable[None]], name: str | None = None) -> int:
    """Call `run` with the settings and `name`, or a name that no other process has; return the exit code."""
    name = name or f"{role}-{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:6]}"

    async def named(settings: Settings) -> None:
        structlog.contextvars.bind_contextvars(**{role: name})
        await run(settings, name)

    try:
        settings = Settings()
        configure_logging(settings, role)
        with traced_process(settings, role, name):
            uvloop.run(named(settings))
    except StartupError as exc:
        print(f"headway {role}: {exc}", file=sys.stderr)  # noqa: T201  # One line for the operator, not a log record.
        return 1
    return 0


def on_stop_signal(stop: Callable[[], None]) -> None:
    """Have a function called at SIGTERM and SIGINT, on the running loop."""
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stop)
