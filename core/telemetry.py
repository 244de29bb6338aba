"""Logs: one JSON object a line on standard error, with the correlation id of the request or task it belongs to."""

import asyncio
import atexit
import json
import logging
import sys
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, BinaryIO

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
    own: list[structlog.typing.Processor]
    factory: Callable[..., structlog.typing.WrappedLogger] = structlog.stdlib.LoggerFactory()
    if settings.log_format == "json":
        # Our own lines go straight to their end: two of them a request took a quarter of what the request did.
        renderer = structlog.processors.JSONRenderer(lambda event, **options: _as_json(event, **options).decode())
        own, factory = [_line], structlog.BytesLoggerFactory(sys.stderr.buffer)
    else:
        own = [*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter]
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(level),  # What is not logged costs next to nothing.
        processors=own,
        logger_factory=factory,
        cache_logger_on_first_use=True,
    )
    is_direct = settings.log_format == "json" and level <= logging.INFO
    _Process.turns = _Turns(sys.stderr.buffer, own) if is_direct else None
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )
    _redirect_loggers(level, formatter)
    structlog.contextvars.bind_contextvars(role=role)


def _redirect_loggers(level: int, formatter: logging.Formatter) -> None:
    """Have what the standard library's loggers say written to standard error, and less of what says too much."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("pymongo", "aio_pika", "aiormq", "asyncio", "arq"):
        logging.getLogger(noisy).setLevel(max(root.level, logging.WARNING))
    # Each failed attempt is an error to it, also those of a start that waits; aio_pika tells of an outage in one line.
    logging.getLogger("aiormq.connection").setLevel(logging.CRITICAL)


def _line(logger: Any, method: str, event: structlog.typing.EventDict) -> bytes:
    """Do what the processors of other loggers' lines do, in one step: each of them costs every line its calls."""
    structlog.contextvars.merge_contextvars(logger, method, event)
    return _finished(logger.name, method, event)


def _finished(name: str, method: str, event: structlog.typing.EventDict) -> bytes:
    """Return a line that lacks only what every line says."""
    add_trace(None, method, event)
    event["level"], event["logger"] = method, name
    event["timestamp"] = datetime.now(UTC)
    if "exc_info" in event:
        event = structlog.processors.format_exc_info(None, method, event)
    return _as_json(event, repr)


def _as_json(event: Any, default: Callable[[Any], Any]) -> bytes:
    """Return a line; what orjson refuses, such as half a surrogate pair, the standard library writes."""
    try:
        return orjson.dumps(event, default, orjson.OPT_UTC_Z)
    except TypeError:
        return json.dumps(event, default=lambda value: _moment(value) or default(value)).encode()


def _moment(value: Any) -> str | None:
    """Return a moment as orjson writes it, None for anything else."""
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else None


class _Turns:
    """Lines that reach a file together, at the end of the event loop's turn that they were said in."""

    def __init__(self, file: BinaryIO, processors: list[structlog.typing.Processor]) -> None:
        self._file = file
        self._processors = processors
        self._waiting: deque[bytes] = deque()
        self._flushing: asyncio.AbstractEventLoop | None = None
        atexit.register(self._flush)

    @property
    def is_at_work(self) -> bool:
        """Whether lines go this way: not while a test has put its own processors in place of ours."""
        return self._processors[:1] == [_line]

    def say(self, line: bytes) -> None:
        """Write a line soon; at once where no loop runs."""
        self._waiting.append(line)
        if self._flushing is not None and self._flushing.is_running():
            return
        try:
            self._flushing = asyncio.get_running_loop()
        except RuntimeError:
            self._flush()
        else:
            self._flushing.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = None
        lines = [self._waiting.popleft() for _ in range(len(self._waiting))]
        self._file.write(b"".join(lines))
        self._file.flush()


class _Process:
    """Where this process's lines of requests go: None for the way of all others."""

    turns: _Turns | None = None


def bound_variable(name: str) -> ContextVar[Any]:
    """Return structlog's own variable of what is bound by a name: going by the name costs ten times as much."""
    tokens = structlog.contextvars.bind_contextvars(**{name: ""})
    structlog.contextvars.reset_contextvars(**tokens)
    return tokens[name].var


_BOUND = {name: bound_variable(name) for name in ("role", "correlation_id")}
"""What is bound where requests are served: to look for whatever else is takes longer than all the rest of a line."""


class RequestLogger:
    """A module's logger of what happens with every request, at the level info.

    Of what is bound, its lines tell the role and the correlation id. They reach the system together with those of the
    same turn of the event loop, at the turn's end. Those of a process that is killed before are lost.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._log = get_logger(name)

    def info(self, event: str, **facts: Any) -> None:
        """Say it as the module's usual logger would."""
        turns = _Process.turns
        if turns is not None and turns.is_at_work:
            facts["event"] = event
            for name, variable in _BOUND.items():
                value = variable.get(...)  # structlog's own sign of what is not bound any more.
                if value is not ... and name not in facts:
                    facts[name] = value
            turns.say(_finished(self.name, "info", facts) + b"\n")
        else:
            self._log.info(event, **facts)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of a module; events are short constant sentences, facts go into keyword arguments."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(name)
    return logger
