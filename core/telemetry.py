"""Logs: one JSON object a line on standard error, with the correlation id of the request or task it belongs to."""

import logging
import sys

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
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if settings.log_format == "json" else structlog.dev.ConsoleRenderer()
    )
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(level),  # What is not logged costs next to nothing.
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
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


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of a module; events are short constant sentences, facts go into keyword arguments."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(name)
    return logger
