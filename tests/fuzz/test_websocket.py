"""The WebSocket: any sequence of messages, and any frames, before and after the initialisation."""

import json
import socket
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Opcode

from gateway.transports.frames import CloseCode
from tests.attacks.attackers import INIT, handshake
from tests.attacks.attackers import frame as masked
from tests.attacks.target import Target
from tests.fuzz.asking import WAIT_S, json_values, maps, mutated, near_requests, requests
from tests.fuzz.conftest import bounded
from tests.fuzz.verdict import judge_errors, judge_response

IDS = ["1", "2", "3"]
TYPES = ["connection_init", "connection_ack", "ping", "pong", "subscribe", "next", "error", "complete", "start", ""]
ids = st.sampled_from(IDS) | json_values
operation_ids = st.sampled_from([*IDS, *"abcdef"])
valid = (
    st.sampled_from([{"type": "ping"}, {"type": "pong", "payload": {}}, {"type": "connection_init"}])
    | st.fixed_dictionaries({"type": st.just("complete"), "id": st.sampled_from(IDS)})
    | st.fixed_dictionaries({"type": st.just("subscribe"), "id": operation_ids, "payload": requests})
)
nearly_valid = st.fixed_dictionaries(
    {"type": st.sampled_from(TYPES) | json_values},
    optional={"id": ids, "payload": requests | near_requests | maps | json_values, "extra": json_values},
)
as_text = (valid | nearly_valid | json_values).map(json.dumps)
messages = as_text.map(str.encode) | mutated(as_text.map(str.encode)) | st.binary(max_size=20)
sane_messages = st.lists(valid.map(json.dumps).map(str.encode), max_size=12)
CLOSING = masked(b"\x03\xe8", Opcode.CLOSE)
CODES = {code.value for code in CloseCode} - {CloseCode.INTERNAL_ERROR} | {1002, 1007, 1009}
"""Ours, and RFC 6455's for what is no WebSocket, no UTF-8 and too much."""


@dataclass
class Said:
    """What a socket said to its end: text messages, and its close code, 1006 where it did not say one."""

    texts: list[bytes] = field(default_factory=list)
    code: int = 1006

    def judge(self) -> None:
        """Fail unless every message is one of the protocol's, with public errors only."""
        for text in self.texts:
            message = json.loads(text)
            assert message["type"] in ("connection_ack", "ping", "pong", "next", "error", "complete"), message
            if message["type"] == "next":
                judge_response(json.dumps(message["payload"]).encode())
            elif message["type"] == "error":
                assert message["payload"]
                judge_errors(message["payload"])


def talk(target: Target, frames: bytes) -> Said:
    """Open a socket, send frames, read to its end."""
    with socket.create_connection(("127.0.0.1", target.port), WAIT_S) as connection:
        reader = connection.makefile("rb")
        connection.sendall(handshake())
        while (line := reader.readline()) not in (b"\r\n", b""):
            assert not line.startswith(b"HTTP/1.1 5"), line
        said = Said()
        try:
            connection.sendall(frames)
            while len(head := reader.read(2)) == 2:
                size = head[1] & 127
                if size > 125:
                    size = int.from_bytes(reader.read(2 if size == 126 else 8), "big")
                payload = reader.read(size)
                if head[0] & 15 == Opcode.CLOSE:
                    said.code = int.from_bytes(payload[:2], "big")
                elif head[0] & 15 == Opcode.TEXT:
                    said.texts.append(payload)
        except ConnectionError:
            return said
        return said


@bounded(250)
@given(is_initialised=st.booleans(), sent=st.lists(messages, max_size=8))
def test_any_messages_are_answered_by_the_protocol(fuzzed: Target, is_initialised: bool, sent: list[bytes]) -> None:
    frames = [masked(message) for message in ([INIT.encode()] if is_initialised else []) + sent]
    said = talk(fuzzed, b"".join(frames) + CLOSING)
    said.judge()
    assert said.code in CODES, said


@bounded(300)
@given(sent=sane_messages)
def test_messages_in_any_order_are_answered_by_the_protocol(fuzzed: Target, sent: list[bytes]) -> None:
    said = talk(fuzzed, b"".join(masked(message) for message in [INIT.encode(), *sent]) + CLOSING)
    said.judge()
    assert said.code in (1000, 4409, 4429), said


@st.composite
def any_frame(draw: st.DrawFn) -> bytes:
    """Draw a frame whose header may say anything but that the socket closes; its length is right."""
    data = bytearray(masked(draw(st.binary(max_size=130) | messages)))
    data[0] = draw(st.sampled_from([0x81, 0x01, 0x00, 0x80, 0x82, 0x89, 0x8A]))
    if draw(st.booleans()):
        data[0] = draw(st.integers(0, 255).filter(lambda first: first & 15 != Opcode.CLOSE))
    return bytes(data)


@bounded(150)
@given(is_initialised=st.booleans(), sent=st.lists(any_frame(), max_size=6))
def test_any_frames_end_with_a_close_that_says_why(fuzzed: Target, is_initialised: bool, sent: list[bytes]) -> None:
    said = talk(fuzzed, (masked(INIT) if is_initialised else b"") + b"".join(sent) + CLOSING)
    said.judge()
    assert said.code in CODES, said
