"""The state machine of graphql-transport-ws, without a socket."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.transports.frames import MAX_REASON_BYTES, CloseCode, close_reason, complete_frame, envelope, next_frame
from gateway.transports.limits import EdgeLimits
from gateway.transports.protocol import Init, Phase, Protocol, Send, Start, Stop, Violation

INIT = '{"type":"connection_init"}'


def subscribe(ident: str) -> str:
    """Return a subscribe message."""
    return json.dumps({"type": "subscribe", "id": ident, "payload": {"query": "{ a }", "extensions": {"x": 1}}})


@pytest.fixture
def protocol() -> Protocol:
    """A connection that is acknowledged and may run two operations."""
    protocol = Protocol(EdgeLimits(operations_per_connection=2))
    assert protocol.receive_text(INIT) == Init(None)
    return protocol


def test_init_acknowledges_once(protocol: Protocol) -> None:
    assert protocol.phase is Phase.ACKNOWLEDGED
    with pytest.raises(Violation) as violation:
        protocol.receive_text(INIT)
    assert violation.value.code is CloseCode.TOO_MANY_INITS


def test_subscribe_needs_an_acknowledged_connection() -> None:
    protocol = Protocol(EdgeLimits())
    with pytest.raises(Violation) as violation:
        protocol.receive_text(subscribe("a"))
    assert violation.value.code is CloseCode.UNAUTHORIZED
    assert protocol.running == set()


def test_subscribe_starts_with_all_that_was_sent(protocol: Protocol) -> None:
    action = protocol.receive_text(subscribe("a"))
    assert isinstance(action, Start)
    assert (action.id, action.request.query, action.request.extensions) == ("a", "{ a }", {"x": 1})
    assert protocol.running == {"a"}


def test_id_in_use_is_a_violation_and_free_after_its_end(protocol: Protocol) -> None:
    protocol.receive_text(subscribe("a"))
    with pytest.raises(Violation) as violation:
        protocol.receive_text(subscribe("a"))
    assert violation.value.code is CloseCode.ALREADY_SUBSCRIBED
    protocol.end("a")
    assert isinstance(protocol.receive_text(subscribe("a")), Start)


def test_complete_stops_a_running_operation_only(protocol: Protocol) -> None:
    assert protocol.receive_text('{"type":"complete","id":"a"}') is None
    protocol.receive_text(subscribe("a"))
    assert protocol.receive_text('{"type":"complete","id":"a"}') == Stop("a")
    assert isinstance(protocol.receive_text(subscribe("a")), Start)


def test_operation_beyond_the_limit_gets_an_error_and_no_id(protocol: Protocol) -> None:
    protocol.receive_text(subscribe("a"))
    protocol.receive_text(subscribe("b"))
    action = protocol.receive_text(subscribe("c"))
    assert isinstance(action, Send)
    assert json.loads(action.frame)["payload"][0]["extensions"] == {"code": "RATE_LIMITED"}
    assert protocol.running == {"a", "b"}


def test_ping_is_answered_and_pong_is_not(protocol: Protocol) -> None:
    assert protocol.receive_text('{"type":"ping"}') == Send('{"type":"pong"}')
    assert protocol.receive_text('{"type":"pong","payload":{"a":1}}') is None


def test_bytes_are_a_violation(protocol: Protocol) -> None:
    with pytest.raises(Violation) as violation:
        protocol.receive_bytes()
    assert violation.value.code is CloseCode.BAD_REQUEST


@given(st.text() | st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_any_text_is_an_action_or_a_violation_that_fits_a_close_frame(text: str) -> None:
    protocol = Protocol(EdgeLimits())
    with pytest.raises(Violation) as violation:
        protocol.receive_text(text)
    assert violation.value.code is CloseCode.BAD_REQUEST
    assert 0 < len(violation.value.reason.encode()) <= MAX_REASON_BYTES


@given(st.text())
def test_reason_fits_a_close_frame_and_stays_text(text: str) -> None:
    reason = close_reason(text)
    assert len(reason.encode(errors="surrogatepass")) <= MAX_REASON_BYTES
    assert "\n" not in reason


@given(st.text(min_size=1))
def test_frames_carry_any_id(ident: str) -> None:
    told = json.loads(next_frame(envelope(ident), b'{"data":{}}'))
    assert told == {"id": ident, "type": "next", "payload": {"data": {}}}
    assert json.loads(complete_frame(ident)) == {"id": ident, "type": "complete"}
