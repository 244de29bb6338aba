"""What is asked: documents, JSON and bytes that are right, nearly right, or nonsense."""

import json
import socket
from typing import Any

from hypothesis import strategies as st

from core.ids import new_id
from tests.attacks.target import Target

WAIT_S = 10.0
"""A gateway that says nothing for so long hangs."""
TASK = str(new_id())
DOCUMENTS = [
    "{ __typename }",
    "query A { health { status } } query B { __typename }",
    "query ($n: Int!) { items(first: $n) { totalCount nodes { id name metadata } } }",
    'query { tasks(first: 2, after: "x", filter: {statuses: [QUEUED]}) { pageInfo { endCursor } } }',
    f'{{ task(id: "{TASK}") {{ id timeline {{ status }} }} }}',
    'mutation ($i: JSON!) { submitTask(kind: "processData", input: $i) { id status inputJson } }',
    "mutation ($i: CreateItemInput!) { createItem(input: $i) { id name } }",
    "subscription { tasksChanged { id } }",
    "subscription ($f: TaskFilter, $hz: Float) { tasksChanged(filter: $f, maxHz: $hz) { id status } }",
    f'subscription {{ taskEvents(id: "{TASK}", after: "9-9") {{ __typename }} }}',
    "{ a: __typename @skip(if: $x) ...F } fragment F on Query { __typename @include(if: true) }",
    "",
]
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(["n", "i", "f", "hz", "x", "input", "name", "kind", "metadata"])
maps = st.dictionaries(names | st.text(max_size=5), json_values, max_size=4)


@st.composite
def mutated(draw: st.DrawFn, strategy: st.SearchStrategy[bytes]) -> bytes:
    """Draw bytes, and change, add or remove some of them, or none."""
    data = bytearray(draw(strategy))
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(data)))
        data[place : place + draw(st.integers(0, 4))] = draw(st.binary(max_size=4))
    return bytes(data)


documents = (
    st.sampled_from(DOCUMENTS)
    | mutated(st.sampled_from(DOCUMENTS).map(str.encode)).map(lambda data: data.decode("utf-8", "replace"))
    | st.text(max_size=40)
)
extensions = maps | st.fixed_dictionaries(
    {
        "persistedQuery": st.fixed_dictionaries(
            {"version": st.just(1) | json_values, "sha256Hash": st.text() | json_values}
        )
    }
)
requests = st.fixed_dictionaries(
    {"query": documents},
    optional={
        "variables": maps,
        "operationName": st.sampled_from(["A", "B", None, "C", ""]),
        "extensions": extensions,
        "documentId": st.text(max_size=70),
    },
)
near_requests = st.fixed_dictionaries(
    {},
    optional={
        "query": documents | json_values,
        "variables": json_values,
        "operationName": json_values,
        "extensions": json_values,
        "documentId": json_values,
        "id": json_values,
    },
)
bodies = (
    requests.map(json.dumps).map(str.encode)
    | mutated(requests.map(json.dumps).map(str.encode))
    | (near_requests | json_values).map(json.dumps).map(str.encode)
    | st.binary(max_size=60)
)


def converse(target: Target, sent: bytes, *, linger_s: float | None = None) -> bytes:
    """Send bytes over a connection of their own; return all that is said.

    Once something has been said, this side says that nothing more will come; or, with `linger_s`, listens until nothing
    comes for so long. Raises TimeoutError when the gateway says nothing and does not hang up either.
    """
    with socket.create_connection(("127.0.0.1", target.port), WAIT_S) as connection:
        said = bytearray()
        try:
            connection.sendall(sent)
            while piece := connection.recv(65_536):
                if not said and linger_s is None:
                    connection.shutdown(socket.SHUT_WR)
                said += piece
                if linger_s is not None:
                    connection.settimeout(linger_s)
        except TimeoutError:
            if linger_s is None or not said:
                raise
        except OSError:  # It was hung up on while it was still sending.
            return bytes(said)
        return bytes(said)
