"""Requests for event streams: distinct ones, reservations, streams that are opened and operations that ride on them."""

import json
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from tests.attacks.target import Target
from tests.fuzz.asking import bodies, converse, requests
from tests.fuzz.conftest import bounded
from tests.fuzz.verdict import judge_bytes, judge_response

TOKENS = ["a-token-of-twenty-letters", "another-token-of-twenty-letters", "short", ""]
tokens = st.sampled_from(TOKENS) | st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30)
LINGER_S = 0.05
"""A stream that says nothing for so long has nothing more to say."""


def as_request(method: str, path: str, token: str | None, accept: str, body: bytes) -> bytes:
    """Return a whole request."""
    named = "" if token is None else f"X-GraphQL-Event-Stream-Token: {token}\r\n"
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\nContent-Type: application/json\r\n{named}"
    )
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def judge_events(said: bytes) -> None:
    """Fail unless each whole event of a distinct stream is one of the protocol's, and its payload a response."""
    for event in said.split(b"\n\n")[:-1]:
        kind, _, rest = event.rpartition(b"event: ")[2].partition(b"\n")
        if b"event: " in event and kind == b"next":
            judge_response(rest.removeprefix(b"data: ").partition(b"\r\n")[0])


@bounded(100)
@given(asked=requests)
def test_distinct_stream_tells_what_is_wrong(fuzzed: Target, asked: dict[str, object]) -> None:
    body = json.dumps(asked).encode()
    said = converse(fuzzed, as_request("POST", "/graphql", None, "text/event-stream", body), linger_s=LINGER_S)
    judge_bytes(said)
    judge_events(said)


@bounded(100)
@given(
    method=st.sampled_from(["PUT", "GET", "POST", "DELETE"]),
    token=st.none() | tokens,
    param=st.none() | tokens,
    accept=st.sampled_from(["text/event-stream", "*/*", "application/json", "text/event-stream;q=0"]),
    body=bodies,
)
def test_any_use_of_tokens_is_answered_well(
    fuzzed: Target, method: str, token: str | None, param: str | None, accept: str, body: bytes
) -> None:
    path = "/graphql" if param is None else f"/graphql?token={quote(param)}&operationId=1"
    judge_bytes(converse(fuzzed, as_request(method, path, token, accept, body), linger_s=LINGER_S))
