"""Requests over HTTP: any method, parameters, headers and body, and bytes that are hardly a request."""

import http.client
import json
from collections.abc import Iterator, Mapping
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.attacks.target import Target
from tests.fuzz.asking import WAIT_S, bodies, converse, documents, json_values, maps, mutated, requests
from tests.fuzz.conftest import bounded
from tests.fuzz.verdict import judge_bytes, judge_response

GRAPHQL = ("application/graphql-response+json", "application/json")
TYPES = [*GRAPHQL, "application/json; charset=latin-1", "text/plain", "multipart/form-data; boundary=x", ""]
ACCEPTS = [*GRAPHQL, "*/*", "text/*;q=0.1, application/json;q=0.5", "application/json;q=x", "text/html", ""]
texts = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=20).map(
    str.strip
)
headers = st.fixed_dictionaries(
    {},
    optional={
        "Content-Type": st.sampled_from(TYPES) | texts,
        "Accept": st.sampled_from(ACCEPTS) | texts,
        "Content-Encoding": st.sampled_from(["identity", "gzip", ""]),
        "Authorization": texts,
        "X-Request-Id": texts,
        "X-Forwarded-For": texts | st.sampled_from(["1.2.3.4", "::1, x"]),
        "Origin": texts,
        "X-GraphQL-Event-Stream-Token": texts,
        "Upgrade": st.sampled_from(["websocket", "h2c"]),
    },
)
params = st.fixed_dictionaries(
    {"query": documents},
    optional={
        "variables": (maps | json_values).map(json.dumps) | st.text(max_size=10),
        "extensions": (maps | json_values).map(json.dumps) | st.text(max_size=10),
        "operationName": st.text(max_size=5),
        "documentId": st.text(max_size=5),
        "token": st.text(max_size=30),
    },
)
METHODS = ["GET", "POST", "POST", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"]


@pytest.fixture(scope="module")
def connection(fuzzed: Target) -> Iterator[http.client.HTTPConnection]:
    """A client that opens its connection anew where it has to."""
    connection = http.client.HTTPConnection("127.0.0.1", fuzzed.port, timeout=WAIT_S)
    yield connection
    connection.close()


def ask(
    connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None, given: Mapping[str, str]
) -> None:
    """Ask, and judge the answer."""
    encoded = {name: value.encode("latin-1") for name, value in given.items()}
    connection.close()  # A gateway may end an idle connection at any moment, also while the next request is sent.
    connection.request(method, path, body, encoded)
    answer = connection.getresponse()
    if answer.headers.get("content-type", "").startswith("text/event-stream"):
        connection.close()
        return
    said = answer.read()
    assert answer.status < 500, said
    if method == "HEAD":
        assert said == b""
    elif answer.headers.get_content_type() in GRAPHQL:
        response = judge_response(said)
        assert answer.status == 200 or "data" not in response or response["data"] is None, said
    else:
        assert answer.status in (200, 201, 202, 204, 400, 404, 426), (answer.status, said)


@bounded(900)
@given(method=st.sampled_from(METHODS), given_headers=headers, body=bodies)
def test_any_body_is_answered_well(
    connection: http.client.HTTPConnection, method: str, given_headers: dict[str, str], body: bytes
) -> None:
    ask(connection, method, "/graphql", body, {"Content-Type": "application/json", **given_headers})


@bounded(600)
@given(method=st.sampled_from(["GET", "GET", "GET", "HEAD", "DELETE"]), asked=params, given_headers=headers)
def test_any_query_string_is_answered_well(
    connection: http.client.HTTPConnection, method: str, asked: dict[str, str], given_headers: dict[str, str]
) -> None:
    query = urlencode({name: text.encode("utf-8", "surrogatepass") for name, text in asked.items()})
    ask(connection, method, f"/graphql?{query}", None, given_headers)


def as_bytes(asked: Mapping[str, object]) -> bytes:
    """Return a whole request."""
    body = json.dumps(asked).encode()
    head = "POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


@bounded(300)
@given(sent=mutated(requests.map(as_bytes)) | st.binary(min_size=1, max_size=80))
def test_any_bytes_are_answered_or_hung_up_on(fuzzed: Target, sent: bytes) -> None:
    judge_bytes(converse(fuzzed, sent))
