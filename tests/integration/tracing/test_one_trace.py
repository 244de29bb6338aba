"""One trace id and one correlation id, from the header of a request to its task's terminal event and every log."""

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from tests.environments import environment_on
from tests.integration.tracing.collector import Collector, Received, collecting
from tests.running_stack import RunningStack, start_stack

SUBMIT = 'mutation Order { processData(input: {data: "a", iterations: 3}) { id correlationId } }'
FOLLOW = "subscription Watch($id: ID!) { taskProgress(id: $id) { status correlationId } }"
CLIENT_SPAN = "00f067aa0ba902b7"
STATE = "shop=t61rcWkgMzE"
STORY = [
    ("headway-worker", "tell the end"),
    ("headway-worker", "run processData"),
    ("headway-bridge", "hand over"),
    ("headway-gateway", "publish"),
    ("headway-gateway", "submit"),
    ("headway-gateway", "mutation"),
    ("headway-gateway", "POST /graphql"),
]


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    """Where the stack's spans go."""
    with collecting() as running:
        yield running


@pytest.fixture(scope="module")
def traced_stack(
    collector: Collector, tmp_path_factory: pytest.TempPathFactory, mongo_url: str, redis_url: str, amqp_url: str
) -> Iterator[RunningStack]:
    """A whole stack that traces."""
    environment = environment_on(mongo_url, redis_url, amqp_url) | {
        "HEADWAY_KIND_MODULES": "tests.integration.tracing.kinds",
        "HEADWAY_LOG_LEVEL": "debug",
        "HEADWAY_TRACES": "true",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    stack = start_stack(tmp_path_factory.mktemp("traced") / "data", env=environment)
    yield stack
    assert stack.stop() == 0, stack.said()


def submit(stack: RunningStack, trace_id: str, correlation_id: str, mutation: str = SUBMIT) -> dict[str, Any]:
    """Submit a task as a client that traces."""
    headers = {
        "traceparent": f"00-{trace_id}-{CLIENT_SPAN}-01",
        "tracestate": STATE,
        "x-request-id": correlation_id,
    }
    answer = httpx.post(f"{stack.url}/graphql", json={"query": mutation}, headers=headers, timeout=30)
    assert answer.headers["x-request-id"] == correlation_id
    [task] = answer.json()["data"].values()
    assert isinstance(task, dict)
    return task


def follow(stack: RunningStack, task_id: str, **headers: str) -> dict[str, Any]:
    """Return a task's terminal event."""
    with connect(
        stack.ws_url,
        subprotocols=["graphql-transport-ws"],  # type: ignore[list-item]
        additional_headers=headers,
    ) as socket:
        socket.send(json.dumps({"type": "connection_init"}))
        assert json.loads(socket.recv(30))["type"] == "connection_ack"
        payload = {"query": FOLLOW, "variables": {"id": task_id}}
        socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": payload}))
        last: dict[str, Any] = {}
        while (frame := json.loads(socket.recv(30)))["type"] == "next":
            last = frame["payload"]["data"]["taskProgress"]
        assert frame["type"] == "complete"
    return last


def story(spans: dict[bytes, Received]) -> list[Received]:
    """Return the chain of spans from the telling of the end up to the one that no other of them is the parent of."""
    [each] = [each for each in spans.values() if each.span.name == "tell the end"]
    chain = [each]
    while parent := spans.get(chain[-1].span.parent_span_id):
        chain.append(parent)
    return chain


def logged(data: Path, role: str, correlation_id: str) -> list[dict[str, Any]]:
    """Return the records of a process that carry a correlation id."""
    lines = (data / "logs" / f"{role}.log").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines if line.startswith("{")]
    return [record for record in records if record.get("correlation_id") == correlation_id]


def test_trace_and_correlation_id_lead_from_the_header_to_the_end(
    traced_stack: RunningStack, collector: Collector
) -> None:
    trace_id, correlation_id = secrets.token_hex(16), f"order-{secrets.token_hex(4)}"
    task = submit(traced_stack, trace_id, correlation_id)
    assert follow(traced_stack, task["id"]) == {"status": "SUCCEEDED", "correlationId": correlation_id}
    assert task["correlationId"] == correlation_id

    collector.await_spans(lambda: {name for _, name in STORY} <= {s.span.name for s in collector.of(trace_id).values()})
    chain = story(collector.of(trace_id))
    assert [(each.service, each.span.name) for each in chain] == STORY
    assert chain[-1].span.parent_span_id.hex() == CLIENT_SPAN
    assert {each.span.trace_state for each in chain} == {STATE}
    assert chain[1].attributes | {"headway.task_id": task["id"], "headway.status": "SUCCEEDED"} == chain[1].attributes
    assert chain[-1].attributes["headway.correlation_id"] == correlation_id
    assert chain[-1].attributes["http.response.status_code"] == 200

    for role in ("gateway-1", "bridge-1", "worker-1"):
        records = logged(traced_stack.data, role, correlation_id)
        assert records, f"{role} logged nothing under the correlation id"
        assert {record["trace_id"] for record in records} == {trace_id}, records


def test_request_without_a_trace_begins_one(traced_stack: RunningStack, collector: Collector) -> None:
    correlation_id = f"order-{secrets.token_hex(4)}"
    asked = {"query": SUBMIT}
    httpx.post(f"{traced_stack.url}/graphql", json=asked, headers={"x-request-id": correlation_id}, timeout=30)

    def begun() -> list[str]:
        sent = [each for each in collector.spans if each.attributes.get("headway.correlation_id") == correlation_id]
        return [each.trace_id for each in sent if each.span.name == "POST /graphql"]

    collector.await_spans(lambda: bool(begun()))
    [trace_id] = begun()
    collector.await_spans(lambda: len(collector.of(trace_id)) == len(STORY))
    assert story(collector.of(trace_id))[-1].span.parent_span_id == b""


def subscription(collector: Collector, trace_id: str) -> Received:
    """Wait for the one span of a subscription in a trace and return it."""

    def found() -> list[Received]:
        return [each for each in collector.of(trace_id).values() if each.span.name == "subscription"]

    collector.await_spans(lambda: bool(found()))
    [each] = found()
    return each


def test_subscription_is_in_its_client_s_trace_and_points_to_the_task_s(
    traced_stack: RunningStack, collector: Collector
) -> None:
    of_task, of_socket, of_stream = (secrets.token_hex(16) for _ in range(3))
    task = submit(traced_stack, of_task, "order-a")
    asked = {"traceparent": f"00-{of_socket}-{CLIENT_SPAN}-01", "x-request-id": "watch-a"}
    assert follow(traced_stack, task["id"], **asked)["status"] == "SUCCEEDED"
    watched = subscription(collector, of_socket)
    assert (watched.service, watched.span.parent_span_id.hex()) == ("headway-gateway", CLIENT_SPAN)
    assert [link.trace_id.hex() for link in watched.span.links] == [of_task]
    assert watched.attributes == {
        "graphql.operation.type": "subscription",
        "graphql.operation.name": "Watch",
        "headway.correlation_id": "watch-a.1",
        "headway.task_id": task["id"],
        "headway.outcome": "ok",
    }

    headers = {"accept": "text/event-stream", "traceparent": f"00-{of_stream}-{CLIENT_SPAN}-01"}
    body = {"query": FOLLOW, "variables": {"id": task["id"]}}
    told = httpx.post(f"{traced_stack.url}/graphql", json=body, headers=headers, timeout=30)
    assert "event: complete" in told.text
    streamed = subscription(collector, of_stream)
    collector.await_spans(lambda: len(collector.of(of_stream)) == 2)
    request = collector.of(of_stream)[streamed.span.parent_span_id]
    assert request.span.name == "POST /graphql"
    assert [link.trace_id.hex() for link in streamed.span.links] == [of_task]


def test_subscription_that_its_client_leaves_or_that_fails_says_so(
    traced_stack: RunningStack, collector: Collector
) -> None:
    left, failed = secrets.token_hex(16), secrets.token_hex(16)
    with connect(
        traced_stack.ws_url,
        subprotocols=["graphql-transport-ws"],  # type: ignore[list-item]
        additional_headers={"traceparent": f"00-{left}-{CLIENT_SPAN}-01"},
    ) as socket:
        socket.send(json.dumps({"type": "connection_init"}))
        query = "subscription { tasksChanged { id } }"
        socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": {"query": query}}))
        submit(traced_stack, secrets.token_hex(16), "order-b")
        while json.loads(socket.recv(30))["type"] != "next":
            pass
    assert subscription(collector, left).attributes["headway.outcome"] == "cancelled"

    body = {"query": FOLLOW, "variables": {"id": "0190f5c4-7e1a-7c3b-9d2e-3f4a5b6c7d8e"}}
    headers = {"accept": "text/event-stream", "traceparent": f"00-{failed}-{CLIENT_SPAN}-01"}
    assert "NOT_FOUND" in httpx.post(f"{traced_stack.url}/graphql", json=body, headers=headers, timeout=30).text
    unknown = subscription(collector, failed)
    assert (unknown.attributes["headway.outcome"], list(unknown.span.links)) == ("errors", [])


@pytest.mark.parametrize("kind", ["noteOnTheLoop", "noteAside"])
def test_lines_that_a_kind_logs_name_its_task_and_trace(traced_stack: RunningStack, kind: str) -> None:
    trace_id, correlation_id = secrets.token_hex(16), f"order-{secrets.token_hex(4)}"
    mutation = f'mutation {{ {kind}(input: {{text: "Done by {kind}"}}) {{ id correlationId }} }}'
    task = submit(traced_stack, trace_id, correlation_id, mutation)
    assert follow(traced_stack, task["id"])["status"] == "SUCCEEDED"
    said = [
        record
        for record in logged(traced_stack.data, "worker-1", correlation_id)
        if record["event"] == f"Done by {kind}"
    ]
    assert [record["logger"] for record in said] == ["kinds.own", "kinds.other"]
    ended = [r for r in logged(traced_stack.data, "worker-1", correlation_id) if r["event"] == "Attempt ended"]
    for name in ("task_id", "trace_id", "span_id", "role", "worker"):
        assert {record[name] for record in said} == {record[name] for record in ended}, name
    assert said[0]["task_id"] == task["id"]
    assert said[0]["trace_id"] == trace_id
