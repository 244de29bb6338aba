"""An OpenTelemetry collector as processes see it: an HTTP server that keeps the spans which it is sent."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

WAIT_S = 30.0


@dataclass(frozen=True)
class Received:
    """A span, and the service that sent it."""

    service: str
    span: Span

    @property
    def trace_id(self) -> str:
        """In hexadecimal digits."""
        return self.span.trace_id.hex()

    @property
    def attributes(self) -> dict[str, str | int]:
        """By name; only texts and whole numbers are sent by us."""
        return {each.key: each.value.string_value or each.value.int_value for each in self.span.attributes}


@dataclass
class Collector:
    """What was sent to one address."""

    url: str
    spans: list[Received] = field(default_factory=list)
    _arrived: threading.Condition = field(default_factory=threading.Condition)

    def take(self, body: bytes) -> None:
        """Keep the spans of one request."""
        with self._arrived:
            for resource_spans in ExportTraceServiceRequest.FromString(body).resource_spans:
                told = {each.key: each.value.string_value for each in resource_spans.resource.attributes}
                for scope in resource_spans.scope_spans:
                    self.spans += [Received(told["service.name"], span) for span in scope.spans]
            self._arrived.notify_all()

    def of(self, trace_id: str) -> dict[bytes, Received]:
        """Return the spans of a trace by their ids."""
        return {each.span.span_id: each for each in self.spans if each.trace_id == trace_id}

    def await_spans(self, holds: Callable[[], bool]) -> None:
        """Block until what was sent meets a condition. Raises AssertionError."""
        with self._arrived:
            names = [each.span.name for each in self.spans]
            assert self._arrived.wait_for(holds, WAIT_S), names


@contextmanager
def collecting() -> Iterator[Collector]:
    """Run a collector on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Take what is exported."""
            assert self.path == "/v1/traces"
            collector.take(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # The base class's name.
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector = Collector(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, name="collector")
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
