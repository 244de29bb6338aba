"""What the edge relies on inside its libraries, beyond what they promise: an upgrade that changes it fails here first.

Where a test fails, read what the library does now, and the module of ours that it names.
"""

import asyncio
import inspect
import re
from collections import deque

import pytest
from graphql import GraphQLError, OverlappingFieldsCanBeMergedRule, build_schema, execute_sync, parse, validate
from graphql.execution import Executor
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import Server, ServerState
from websockets.server import ServerProtocol

from gateway.errors import _COERCION, _OUT_OF_RANGE
from gateway.server import Server as OurServer
from gateway.transports.caps import Caps
from gateway.transports.connections import EdgeConfig
from gateway.transports.http_connection import HTTPConnection
from gateway.transports.limits import EdgeLimits
from gateway.transports.websocket_connection import WebSocketConnection

HTTP_METHODS = {
    "connection_made": ["transport"],
    "connection_lost": ["exc"],
    "data_received": ["data"],
    "on_message_begin": [],
    "on_header": ["name", "value"],
    "on_headers_complete": [],
    "on_body": ["body"],
    "on_message_complete": [],
    "handle_websocket_upgrade": [],
    "send_400_response": ["msg"],
    "pause_writing": [],
    "resume_writing": [],
    "on_response_complete": [],
    "timeout_keep_alive_handler": [],
}
WEBSOCKET_METHODS = {
    "connection_made": ["transport"],
    "connection_lost": ["exc"],
    "data_received": ["data"],
    "handle_connect": ["event"],
    "handle_ping": [],
    "handle_cont": ["event"],
    "send_receive_event_to_app": [],
    "handle_parser_exception": [],
    "keepalive_timeout": [],
    "stop_keepalive": [],
    "on_task_complete": ["task"],
    "receive": [],
    "send": ["message"],
}


async def idle_app(scope: object, receive: object, send: object) -> None:
    """Answer nothing."""


@pytest.fixture
def config() -> EdgeConfig:
    limits = EdgeLimits()
    return EdgeConfig(idle_app, limits, Caps(limits), ws=WebSocketConnection, http=HTTPConnection, lifespan="off")


@pytest.mark.parametrize(
    ("theirs", "ours", "methods"),
    [
        (HttpToolsProtocol, HTTPConnection, HTTP_METHODS),
        (WebSocketsSansIOProtocol, WebSocketConnection, WEBSOCKET_METHODS),
    ],
)
def test_methods_that_connections_override_are_still_called_so(
    theirs: type, ours: type, methods: dict[str, list[str]]
) -> None:
    found = {name: list(inspect.signature(getattr(theirs, name)).parameters)[1:] for name in methods}
    assert found == methods
    public = {name for name in vars(ours) if not name.startswith("_") and inspect.isfunction(vars(ours)[name])}
    assert public <= set(methods)


async def test_state_of_uvicorns_http_connection_that_ours_looks_at_is_there(config: EdgeConfig) -> None:
    connection = HTTPConnection(config, ServerState(), {}, asyncio.get_running_loop())
    assert {vars(connection)[name] for name in ("cycle", "flow", "transport")} == {None}
    assert isinstance(connection.connections, set)
    assert isinstance(connection.tasks, set)
    assert isinstance(connection.pipeline, deque)
    assert list(inspect.signature(HttpToolsProtocol._start_asgi_task).parameters) == ["self", "cycle", "app"]
    for method in ("data_received", "connection_lost"):
        assert "_unset_keepalive_if_required" in getattr(HttpToolsProtocol, method).__code__.co_names


def test_cycle_of_uvicorn_that_ours_goes_on_from_is_made_and_run_so() -> None:
    assert list(inspect.signature(RequestResponseCycle).parameters) == [
        "scope", "transport", "flow", "logger", "access_logger", "access_log", "default_headers", "message_event",
        "expect_100_continue", "keep_alive", "on_response"
    ]  # fmt: skip
    state = set(RequestResponseCycle.__init__.__code__.co_names)
    assert {"response_complete", "disconnected", "body", "more_body", "waiting_for_100_continue"} <= state
    assert {"chunked_encoding", "expected_content_length"} <= state
    run = RequestResponseCycle.run_asgi.__code__.co_names
    assert {"receive", "send", "response_started", "response_complete", "disconnected"} <= set(run)


async def test_state_of_uvicorns_websocket_that_ours_looks_at_is_there(config: EdgeConfig) -> None:
    connection = WebSocketConnection(config, ServerState(), {}, asyncio.get_running_loop())
    assert (connection.handshake_initiated, connection.handshake_complete) == (False, False)
    assert (connection.close_sent, connection.disconnected, connection.read_paused) == (False, False, False)
    assert vars(connection) == {}, "there is a slot for each"
    theirs = WebSocketsSansIOProtocol(config, ServerState(), {}, asyncio.get_running_loop())
    assert (type(theirs.writable), type(theirs.queue)) == (asyncio.Event, asyncio.Queue)
    used = re.findall(r"self\.(?:writable|queue)\.(\w+)", inspect.getsource(WebSocketsSansIOProtocol))
    assert set(used) == {"set", "clear", "wait", "put_nowait", "get", "empty"}
    assert isinstance(connection.conn, ServerProtocol)
    assert {"curr_msg_data_type", "frames"} <= set(WebSocketsSansIOProtocol.handle_text.__code__.co_names)
    assert callable(connection.conn.fail)
    assert callable(connection.conn.data_to_send)


def test_uvicorns_server_stops_as_ours_expects() -> None:
    for name in ("shutdown", "capture_signals", "handle_exit"):
        assert callable(getattr(Server, name))
    assert list(inspect.signature(Server.shutdown).parameters) == ["self", "sockets"]
    assert inspect.iscoroutinefunction(OurServer.shutdown)
    assert "self.servers" in inspect.getsource(Server)


@pytest.mark.parametrize("text", ["{" + "a " * 100 + "}", "{a" * 2_000 + "}" * 2_000])
def test_parser_words_its_limits_as_the_guard_reads_them(text: str) -> None:
    with pytest.raises(GraphQLError) as raised:
        parse(text, max_lexical_tokens=50 if len(text) < 1_000 else None)
    assert raised.value.message.endswith("Parsing aborted.")


def test_parser_counts_tokens_and_may_refuse_empty_selections() -> None:
    assert parse("{ a }").token_count == 3
    with pytest.raises(GraphQLError):
        parse("{ a { } }", allow_empty_selection_sets=False)


def test_validation_words_a_spent_budget_as_the_guard_reads_it() -> None:
    class Spent(OverlappingFieldsCanBeMergedRule):
        def __init__(self, context: object) -> None:
            super().__init__(context)  # type: ignore[arg-type]
            self.rule_context.remaining_complexity_budget = 1

    schema = build_schema("type Query { a: Query }")
    errors = validate(schema, parse("{" + " a { a }" * 20 + "}"), [Spent], hide_suggestions=True)
    assert errors[-1].message == "Validation aborted."


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ("query ($x: Int!) { f(x: $x) }", {"x": "a"}),
        ("query ($x: Int!) { f(x: $x) }", {}),
        ("query ($x: Int) { f(x: $x) }", {"x": None}),
    ],
)
def test_values_that_do_not_fit_are_worded_as_errors_reads_them(query: str, variables: dict[str, object]) -> None:
    schema = build_schema("type Query { f(x: Int!): Int }")
    errors = execute_sync(schema, parse(query), variable_values=variables).errors
    assert errors
    assert _COERCION.match(errors[0].message), errors[0].message


def test_number_that_is_no_int_is_worded_as_errors_reads_it() -> None:
    coerce = build_schema("type Query { f: Int }").type_map["Int"].coerce_output_value  # type: ignore[attr-defined]
    with pytest.raises(GraphQLError) as raised:
        coerce(2**40)
    assert raised.value.message.startswith(_OUT_OF_RANGE)


def test_executor_that_plans_build_upon_has_what_they_override() -> None:
    assert issubclass(StrawberryGraphQLCoreExecutionContext, Executor)
    parameters = list(inspect.signature(Executor.complete_value).parameters)
    assert parameters == [
        "self", "return_type", "field_details_list", "info", "path", "result", "position_context"
    ]  # fmt: skip
    assert callable(Executor.build_resolve_info)
