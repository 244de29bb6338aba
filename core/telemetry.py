"""Logs: one JSON object a line on standard error, with the correlation id of the request or task it belongs to."""

import json
import logging
import sys
from collections.abc import Callable
from typing import Any

import orjson
import structlog

from core.settings import Settings
from core.tracing import add_trace


def configure_logging(settings: Settings, role: str) -> None:
    """Send structlog and the standard library's loggers to standard error in one form. Call once, at start."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        add_trace,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    renderer: structlog.typing.Processor = structlog.dev.ConsoleRenderer()
    own: list[structlog.typing.Processor] = [structlog.stdlib.ProcessorFormatter.wrap_for_formatter]
    factory: Callable[..., structlog.typing.WrappedLogger] = structlog.stdlib.LoggerFactory()
    if settings.log_format == "json":
        # Our own lines go straight to their end: two of them a request took a quarter of what the request did.
        renderer = structlog.processors.JSONRenderer(lambda event, **options: _as_json(event, **options).decode())
        own = [structlog.processors.JSONRenderer(_as_json)]
        factory = structlog.BytesLoggerFactory(sys.stderr.buffer)
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(level),  # What is not logged costs next to nothing.
        processors=[*shared, *own],
        logger_factory=factory,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("pymongo", "aio_pika", "aiormq", "asyncio", "arq"):
        logging.getLogger(noisy).setLevel(max(root.level, logging.WARNING))
    # Each failed attempt is an error to it, also those of a start that waits; aio_pika tells of an outage in one line.
    logging.getLogger("aiormq.connection").setLevel(logging.CRITICAL)
    structlog.contextvars.bind_contextvars(role=role)


def _as_json(event: Any, default: Callable[[Any], Any]) -> bytes:
    """Return a line; what orjson refuses, such as half a surrogate pair, the standard library writes."""
    try:
        return orjson.dumps(event, default)
    except TypeError:
        return json.dumps(event, default=default).encode()


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of a module; events are short constant sentences, facts go into keyword arguments."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(name)
    return logger
