"""What a list of 20 items takes: the guard, the plan, and whole requests beside those of others."""

from collections.abc import Iterator
from contextlib import AsyncExitStack
from itertools import count

import orjson
import pytest
from graphql import parse, specified_rules, validate
from graphql.execution.values import VariableValues

from gateway.operations import Operations
from gateway.plans.plan import Pace, Plan, Plans
from gateway.transports.request import GraphQLRequest
from loadtest.bench.in_process import (
    CONTEXT,
    DOCUMENTS,
    LIMITS,
    SCHEMA,
    WARM_UP,
    App,
    ask,
    gateway,
    items_in_memory,
    peer,
)
from loadtest.bench.items import QUERY
from tests.benchmarks.conftest import Do, Timed

AT_ONCE = 20
PEERS = {"Starlette and orjson, no GraphQL": "starlette_items", "Strawberry as it comes": "strawberry_items"}
numbers = count()


@pytest.fixture
def operations() -> Iterator[Operations]:
    """A gateway's operations on items that are in memory."""
    with items_in_memory():
        yield Operations(SCHEMA, LIMITS)


def test_first_sight_of_a_document(timed: Timed, operations: Operations) -> None:
    prepared = timed(
        "guard: parse, measure, validate and price a new document",
        lambda: operations.prepare(GraphQLRequest(f"{QUERY} # {next(numbers)}")),
    )
    assert operations.cost(prepared, None) > 0


def test_first_sight_by_graphql_core(timed: Timed) -> None:
    schema = SCHEMA._schema
    errors = timed(
        "graphql-core: parse and validate the same",
        lambda: validate(schema, parse(f"{QUERY} # {next(numbers)}"), specified_rules),
    )
    assert errors == []


def test_guard_of_a_known_document(timed: Timed, operations: Operations) -> None:
    known = operations.prepare(GraphQLRequest(QUERY))
    found = timed("guard: find a known document", lambda: operations.prepare(GraphQLRequest(QUERY)))
    assert found is known


def test_price_of_a_known_document(timed: Timed, operations: Operations) -> None:
    known = operations.prepare(GraphQLRequest(QUERY))
    assert timed("guard: price a known document", lambda: operations.cost(known, None)) > 0


def test_compiling_a_plan(timed: Timed, operations: Operations) -> None:
    known = operations.prepare(GraphQLRequest(QUERY))

    def compiled() -> Plan:
        plans = Plans(SCHEMA._schema, known.document, lambda _: True, Pace(rest=0))
        for _ in range(2):  # The first request runs without one.
            plan = plans.find(known.operation, VariableValues({}, {}))
        return plan

    assert timed("plan: compile", compiled).renderers


def test_running_a_plan(timed: Timed, operations: Operations, do: Do) -> None:
    prepared = operations.prepare(GraphQLRequest(QUERY))

    async def run() -> bytes:
        for _ in range(AT_ONCE):
            answer = (await operations.run(prepared, None, None, CONTEXT)).encode()
        return answer

    do(run())
    answer = timed("plan: run for 20 items and encode", lambda: do(run()), AT_ONCE)
    assert len(orjson.loads(answer)["data"]["items"]["nodes"]) == len(DOCUMENTS)


async def times(app: App, count: int) -> bytes:
    """Return the last of so many answers."""
    for _ in range(count):
        answer = await ask(app)
    return answer


def test_request_of_the_whole_gateway(timed: Timed, do: Do) -> None:
    ending = AsyncExitStack()
    app = do(ending.enter_async_context(gateway()))
    try:
        do(times(app, WARM_UP))
        answer = timed("request: the whole gateway", lambda: do(times(app, AT_ONCE)), AT_ONCE)
    finally:
        do(ending.aclose())
    assert len(orjson.loads(answer)["data"]["items"]["nodes"]) == len(DOCUMENTS)


@pytest.mark.parametrize("name", PEERS)
def test_request_of_a_peer(name: str, timed: Timed, do: Do) -> None:
    app = peer(PEERS[name])
    do(times(app, WARM_UP))
    answer = timed(f"request: {name}", lambda: do(times(app, AT_ONCE)), AT_ONCE)
    assert len(orjson.loads(answer)["data"]["items"]["nodes"]) == len(DOCUMENTS)
