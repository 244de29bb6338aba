"""Spans of what is done for a request and its task, joined by W3C trace context (www.w3.org/TR/trace-context).

A trace is carried as one text: its `traceparent` and, after a space, its `tracestate` where there is one. While a
process has not started to trace, every function here returns at once, and OpenTelemetry is not even imported.
"""

import importlib
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from enum import StrEnum
from typing import Any, Protocol, Self

from core.settings import Settings

Attributes = Mapping[str, str | int | float | bool]
IMPLEMENTATION = "core.otel"


class SpanKind(StrEnum):
    """What a span is to the one above it."""

    INTERNAL = "INTERNAL"
    SERVER = "SERVER"
    PRODUCER = "PRODUCER"
    CONSUMER = "CONSUMER"


class Span(Protocol):
    """Something that takes time. `trace` is what those need who go on with it elsewhere, None while off."""

    @property
    def trace(self) -> str | None:
        """Its trace, with itself as the parent of what follows."""
        ...

    def note(self, attributes: Attributes) -> None:
        """Add what has become known of it."""
        ...


class OpenSpan(Span, Protocol):
    """A span that its opener ends."""

    def link(self, trace: str) -> None:
        """Have it point to another trace, where what it watches is done."""
        ...

    def end(self, error: BaseException | None) -> None:
        """End it, as failed where there is an error."""
        ...


class CurrentSpan(Span, Protocol):
    """The innermost span around the caller."""

    @property
    def ids(self) -> tuple[str, str]:
        """Its trace's id and its own, in hexadecimal digits."""
        ...


class Tracer(Protocol):
    """What `core.otel` makes."""

    def span(
        self, name: str, kind: SpanKind, parent: str | None, attributes: Attributes
    ) -> AbstractContextManager[Span]:
        """Open a span that is current in its block."""
        ...

    def open(self, name: str, kind: SpanKind, parent: str | None, attributes: Attributes) -> OpenSpan:
        """Open a span that is nobody's current one, beneath `parent` or the current one."""
        ...

    def joined(self, trace: str) -> AbstractContextManager[None]:
        """Have spans in the block belong to a trace that began elsewhere."""
        ...

    def current(self) -> CurrentSpan | None:
        """Return the current span, None outside of every span."""
        ...

    def stop(self) -> None:
        """Send what has not been sent; blocks for a few seconds at most."""
        ...


class NoSpan:
    """Stands for every span while tracing is off."""

    trace: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def note(self, attributes: Attributes) -> None:
        """Forget it."""


class _Process:
    """Whether this process traces."""

    tracer: Tracer | None = None


NO_SPAN = NoSpan()
_NOTHING: Attributes = {}


@contextmanager
def traced_process(settings: Settings, role: str, name: str) -> Iterator[None]:
    """Trace in the block if the settings say so, as the service `headway-<role>`, of which this is the one named."""
    if not settings.traces:
        yield
        return
    _Process.tracer = tracer = importlib.import_module(IMPLEMENTATION).make_tracer(f"headway-{role}", name)
    try:
        yield
    finally:
        _Process.tracer = None
        tracer.stop()


def is_on() -> bool:
    """Return whether this process traces."""
    return _Process.tracer is not None


def span(
    name: str,
    kind: SpanKind = SpanKind.INTERNAL,
    parent: str | None = None,
    attributes: Attributes = _NOTHING,
) -> AbstractContextManager[Span]:
    """Open a span beneath `parent`, or the current one where that is None; an exception that leaves it is noted."""
    if _Process.tracer is None:
        return NO_SPAN
    return _Process.tracer.span(name, kind, parent, attributes)


def open_span(name: str, attributes: Attributes) -> OpenSpan | None:
    """Open a span beneath the current one for what many asyncio tasks may go on with; None while off."""
    return None if _Process.tracer is None else _Process.tracer.open(name, SpanKind.INTERNAL, None, attributes)


def spans(
    name: str, kind: SpanKind, parents: Mapping[str, str | None], attributes: Attributes = _NOTHING
) -> AbstractContextManager[dict[str, str]]:
    """Open a span beneath each parent, for work that is done for all at once; give the traces that go on from them.

    A parent that is None gets none.
    """
    return nullcontext({}) if _Process.tracer is None else _spans(_Process.tracer, name, kind, parents, attributes)


@contextmanager
def _spans(
    tracer: Tracer, name: str, kind: SpanKind, parents: Mapping[str, str | None], attributes: Attributes
) -> Iterator[dict[str, str]]:
    opened = {key: tracer.open(name, kind, parent, attributes) for key, parent in parents.items() if parent}
    error: BaseException | None = None
    try:
        yield {key: each.trace for key, each in opened.items() if each.trace is not None}
    except BaseException as exc:
        error = exc
        raise
    finally:
        for each in opened.values():
            each.end(error)


def joined(headers: Mapping[str, str]) -> AbstractContextManager[None]:
    """Have spans in the block belong to the trace that a request's headers name, if they name one."""
    trace = None if _Process.tracer is None else trace_of(headers)
    return nullcontext() if _Process.tracer is None or trace is None else _Process.tracer.joined(trace)


def trace_of(headers: Mapping[str, str]) -> str | None:
    """Return the trace that headers name."""
    parent = headers.get("traceparent")
    state = headers.get("tracestate")
    return f"{parent} {state}" if parent and state else parent


def trace_id(trace: str | None) -> str | None:
    """Return the id in a trace's text."""
    return trace.split("-", 2)[1] if trace is not None and "-" in trace else None


def current_trace() -> str | None:
    """Return the trace that goes on from the current span; None outside of every span, and while off."""
    current = None if _Process.tracer is None else _Process.tracer.current()
    return None if current is None else current.trace


def add_trace(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: put the ids of the current trace and span into a log record."""
    current = None if _Process.tracer is None else _Process.tracer.current()
    if current is not None:
        event["trace_id"], event["span_id"] = current.ids
    return event
