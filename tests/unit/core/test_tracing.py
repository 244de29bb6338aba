"""What tracing costs while it is off, and what its texts hold."""

import subprocess
import sys

import pytest

from core import tracing
from core.otel import OtelTracer
from core.tracing import SpanKind

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_no_process_imports_opentelemetry_while_it_does_not_trace() -> None:
    code = """
import sys
import gateway.__main__, jobs.bridge.__main__, jobs.worker.__main__
from core.settings import Settings
from core.tracing import traced_process
with traced_process(Settings(), "worker", "one"):
    print([name for name in sys.modules if name.startswith("opentelemetry")])
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert said.stdout == "[]\n"


def test_spans_are_nothing_while_off() -> None:
    assert tracing.span("one") is tracing.span("two", SpanKind.SERVER, PARENT)
    with tracing.span("one") as span, tracing.spans("many", SpanKind.CONSUMER, {"a": PARENT}) as traces:
        span.note({"a": 1})
        assert (span.trace, traces, tracing.current_trace()) == (None, {}, None)
    with tracing.joined({"traceparent": PARENT}):
        assert tracing.add_trace(None, "info", {"event": "x"}) == {"event": "x"}


@pytest.fixture
def tracer(monkeypatch: pytest.MonkeyPatch) -> OtelTracer:
    """A tracer that sends nothing, and that this process uses."""
    from opentelemetry.sdk.trace import TracerProvider

    made = OtelTracer(TracerProvider(shutdown_on_exit=False))
    monkeypatch.setattr(tracing._Process, "tracer", made)
    return made


@pytest.mark.usefixtures("tracer")
@pytest.mark.parametrize("state", ["", "shop=1,other=2"])
def test_span_goes_on_with_its_parent_s_trace(state: str) -> None:
    headers = {"traceparent": PARENT, "tracestate": state}
    with tracing.span("one", parent=tracing.trace_of(headers)) as span:
        assert span.trace is not None
        parent, _, carried = span.trace.partition(" ")
        assert tracing.trace_id(span.trace) == tracing.trace_id(PARENT)
        assert (parent != PARENT, carried) == (True, state)
        assert tracing.current_trace() == span.trace
        assert tracing.add_trace(None, "info", {})["trace_id"] == tracing.trace_id(PARENT)
    assert tracing.current_trace() is None


@pytest.mark.usefixtures("tracer")
def test_state_that_is_too_long_is_left_out_and_nonsense_begins_a_trace() -> None:
    with tracing.span("one", parent=f"{PARENT} a={'b' * 250},c={'d' * 250},e={'f' * 250}") as span:
        assert span.trace is not None
        assert len(span.trace) == len(PARENT)
    for nonsense in ("order-7", "", "00-x-y-z", f"{PARENT}é"):
        with tracing.span("one", parent=nonsense) as span:
            assert tracing.trace_id(span.trace) not in (None, tracing.trace_id(PARENT))


@pytest.mark.usefixtures("tracer")
def test_each_of_many_parents_has_a_span_of_its_own() -> None:
    with tracing.spans("many", SpanKind.CONSUMER, {"a": PARENT, "b": None}) as traces:
        assert list(traces) == ["a"]
        assert tracing.trace_id(traces["a"]) == tracing.trace_id(PARENT)
        assert traces["a"] != PARENT


@pytest.mark.usefixtures("tracer")
def test_operations_of_a_socket_belong_to_the_trace_of_its_handshake() -> None:
    with tracing.joined({"traceparent": PARENT}), tracing.span("mutation") as span:
        assert tracing.trace_id(span.trace) == tracing.trace_id(PARENT)
    with tracing.joined({}), tracing.span("mutation") as span:
        assert tracing.trace_id(span.trace) != tracing.trace_id(PARENT)
