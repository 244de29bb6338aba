"""OpenTelemetry's SDK behind `core.tracing`: spans go in batches to a collector over OTLP/HTTP, from a thread.

The standard OTEL_* variables say where to, which spans are sampled, and what else is told of the process.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from opentelemetry import context, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Status, StatusCode, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from core.tracing import Attributes, SpanKind

SEND_WITHIN_S = 2.0
"""What is left at the end of a process is sent for so long; a collector that is away must not hold up a deploy."""
MAX_STATE_CHARS = 512
"""A longer `tracestate` is not carried on (W3C Trace Context, section 3.3.1.5)."""

_w3c = TraceContextTextMapPropagator()


@dataclass(frozen=True)
class OtelSpan:
    """OpenTelemetry's span as `core.tracing` knows spans."""

    span: trace.Span

    @property
    def trace(self) -> str | None:
        """As text, with this span as the parent of what follows; None where the SDK is disabled."""
        carrier: dict[str, str] = {}
        _w3c.inject(carrier, trace.set_span_in_context(self.span))
        parent, state = carrier.get("traceparent"), carrier.get("tracestate", "")
        return f"{parent} {state}" if parent and 0 < len(state) <= MAX_STATE_CHARS else parent

    @property
    def ids(self) -> tuple[str, str]:
        """The ids of trace and span."""
        found = self.span.get_span_context()
        return trace.format_trace_id(found.trace_id), trace.format_span_id(found.span_id)

    def note(self, attributes: Attributes) -> None:
        """Add attributes."""
        self.span.set_attributes(attributes)

    def link(self, trace: str) -> None:
        """Have it point to another trace."""
        self.span.add_link(get_current_span(_context(trace)).get_span_context())

    def end(self, error: BaseException | None) -> None:
        """End it, as failed where there is an error."""
        if error is not None:
            self.span.set_status(Status(StatusCode.ERROR, type(error).__name__))
        self.span.end()


class OtelTracer:
    """A process's tracer, with a provider of its own: kinds may set up a global one."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("headway")

    @contextmanager
    def span(self, name: str, kind: SpanKind, parent: str | None, attributes: Attributes) -> Iterator[OtelSpan]:
        """Open a span that is current in the block."""
        beneath = None if parent is None else _context(parent)
        with self._tracer.start_as_current_span(name, beneath, trace.SpanKind[kind], attributes) as span:
            yield OtelSpan(span)

    def open(self, name: str, kind: SpanKind, parent: str | None, attributes: Attributes) -> OtelSpan:
        """Open a span that is nobody's current one, beneath `parent` or the current one."""
        beneath = None if parent is None else _context(parent)
        return OtelSpan(self._tracer.start_span(name, beneath, trace.SpanKind[kind], attributes))

    @contextmanager
    def joined(self, trace: str) -> Iterator[None]:
        """Have spans in the block belong to a trace that began elsewhere."""
        token = context.attach(_context(trace))
        try:
            yield
        finally:
            context.detach(token)

    def current(self) -> OtelSpan | None:
        """Return the current span, None outside of every span."""
        span = trace.get_current_span()
        return OtelSpan(span) if span.get_span_context().is_valid else None

    def stop(self) -> None:
        """Send what has not been sent, for 2 s at most."""
        stopping = threading.Thread(target=self._provider.shutdown, name="last spans", daemon=True)
        stopping.start()
        stopping.join(SEND_WITHIN_S)


def make_tracer(service: str, name: str) -> OtelTracer:
    """Return the tracer of a process; OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES override what it is called."""
    own = Resource.create({"service.name": service, "service.instance.id": name})
    provider = TracerProvider(resource=own.merge(OTELResourceDetector().detect()), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return OtelTracer(provider)


def _context(carried: str) -> context.Context:
    """Return the context that a trace's text names; one that begins a new trace where it names none."""
    parent, _, state = carried.partition(" ")
    return _w3c.extract({"traceparent": parent, "tracestate": state} if state else {"traceparent": parent})
