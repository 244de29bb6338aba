"""Preparing and executing documents: what is cached, what is refused, what reaches a resolver."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator
from contextlib import aclosing
from types import SimpleNamespace
from typing import cast

import orjson
import pytest
import strawberry
from graphql import OperationType

from core.errors import RateLimited
from gateway.context import OperationContext, Services
from gateway.guard.documents import READING_COST, Prepared
from gateway.identity.budget import CostBudget
from gateway.identity.principals import LOCAL, Principal
from gateway.operations import Operations, Refused
from gateway.transports.limits import EdgeLimits
from gateway.transports.request import GraphQLRequest


class Ledger:
    """A budget that is never spent, and what was taken from it."""

    def __init__(self) -> None:
        self.charged: list[int] = []

    async def charge(self, owner: str, cost: int) -> None:
        self.charged.append(cost)


Info = strawberry.Info[OperationContext, None]
CONTEXT = OperationContext(cast(Services, None), Principal("me"), "c1")


@strawberry.input
class Spot:
    x: int
    label: strawberry.Maybe[str]


@strawberry.input(one_of=True)
class Choice:
    a: strawberry.Maybe[int]
    b: strawberry.Maybe[int]


@strawberry.type
class Query:
    @strawberry.field
    def who(self, info: Info) -> str:
        return info.context.owner

    @strawberry.field
    def spot(self, at: Spot) -> str:
        return f"{at.x} {at.label}"

    @strawberry.field
    def choice(self, among: Choice) -> str:
        return f"{among.a} {among.b}"


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def who(self, info: Info) -> AsyncIterator[str]:
        yield info.context.owner
        yield info.context.correlation_id


SCHEMA = strawberry.Schema(Query, subscription=Subscription)


@pytest.fixture
def operations() -> Operations:
    """Operations within the usual limits."""
    return Operations(SCHEMA, EdgeLimits())


def test_same_text_is_parsed_and_validated_once(operations: Operations) -> None:
    assert (
        operations.prepare(GraphQLRequest("{ who }")).document is operations.prepare(GraphQLRequest("{ who }")).document
    )


def test_invalid_documents_are_refused_each_time(operations: Operations) -> None:
    for _ in range(2):
        with pytest.raises(Refused) as refused:
            operations.prepare(GraphQLRequest("{ no }"))
        assert refused.value.errors[0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
        assert refused.value.outcome.encode().startswith(b'{"errors":[')


def test_operation_is_found_by_its_name(operations: Operations) -> None:
    text = "query A { who } subscription B { who }"
    assert operations.prepare(GraphQLRequest(text, "A")).type is OperationType.QUERY
    assert operations.prepare(GraphQLRequest(text, "B")).type is OperationType.SUBSCRIPTION
    with pytest.raises(Refused, match="operationName: expected a name"):
        operations.prepare(GraphQLRequest(text))


async def test_query_sees_its_context(operations: Operations) -> None:
    outcome = await operations.run(operations.prepare(GraphQLRequest("{ who }")), None, None, CONTEXT)
    assert outcome.encode() == b'{"data":{"who":"me"}}'


async def test_subscription_sees_its_context(operations: Operations) -> None:
    prepared = operations.prepare(GraphQLRequest("subscription { who }"))
    async with aclosing(operations.stream(prepared, None, None, CONTEXT)) as outcomes:
        assert [outcome.data async for outcome in outcomes] == [{"who": "me"}, {"who": "c1"}]


async def test_variables_that_do_not_fit_are_refused_before_anything_runs(operations: Operations) -> None:
    prepared = operations.prepare(GraphQLRequest("query($x: Int!) { spot(at: {x: $x}) }"))
    with pytest.raises(Refused) as refused:
        await operations.run(prepared, {"x": "seven"}, None, CONTEXT)
    assert refused.value.errors[0]["extensions"]["code"] == "BAD_USER_INPUT"


@pytest.mark.parametrize("text", ["{ spot(at: {x: 1, label: null}) }", "{ choice(among: {a: 1, b: 2}) }"])
def test_rules_that_strawberry_adds_hold_here_too(operations: Operations, text: str) -> None:
    with pytest.raises(Refused):
        operations.prepare(GraphQLRequest(text))


def test_documents_of_too_many_tokens_are_refused_before_they_are_built() -> None:
    few = Operations(SCHEMA, EdgeLimits(max_document_tokens=5))
    assert isinstance(few.prepare(GraphQLRequest("{ a: who }")), Prepared)
    with pytest.raises(Refused, match="token"):
        few.prepare(GraphQLRequest("{ a: who b: who }"))


async def test_reading_a_document_is_charged_once_whether_it_is_good_or_not(operations: Operations) -> None:
    ledger = Ledger()
    context = OperationContext(cast(Services, None), Principal("me"), "c1", cast(CostBudget, ledger))
    for _ in range(2):
        await operations.admit(GraphQLRequest("{ who }"), context)
        with pytest.raises(Refused):
            await operations.admit(GraphQLRequest("{ nobody }"), context)
        with pytest.raises(Refused):
            await operations.admit(GraphQLRequest("#" * 1_000_000), context)
    assert ledger.charged == [READING_COST, READING_COST]


async def test_new_documents_are_read_one_at_a_time(operations: Operations) -> None:
    admitted: list[str] = []

    async def admit(text: str) -> None:
        await operations.admit(GraphQLRequest(text), CONTEXT)
        admitted.append(text)

    await operations.admit(GraphQLRequest("{ who }"), CONTEXT)
    async with asyncio.TaskGroup() as tasks:
        for number in range(5):
            tasks.create_task(admit(f"{{ who }} # {number}"))
        await asyncio.sleep(0)
        tasks.create_task(admit("{ who }"))
    assert admitted.index("{ who }") <= 1


async def test_answer_that_is_too_large_is_an_error_in_its_place() -> None:
    few = Operations(SCHEMA, EdgeLimits(max_response_bytes=1_000))
    text = "query($s: Spot!) { a: spot(at: $s) b: spot(at: $s) }"
    for length, fits in ((400, True), (600, False)):
        variables = {"s": {"x": 1, "label": "x" * length}}
        response = orjson.loads((await few.run(few.prepare(GraphQLRequest(text)), variables, None, CONTEXT)).encode())
        assert ("errors" not in response) is fits
        if not fits:
            assert response["data"] is None
            assert response["errors"][0]["extensions"] == {"code": "RESPONSE_TOO_LARGE", "allowed": 1_000}


class Read:
    """What a resolver has read when it raises."""


@strawberry.type
class Row:
    id: int


@strawberry.type
class Failing:
    @strawberry.field
    async def rows(self, info: Info) -> list[Row]:
        """Raise, while a local variable holds what was read."""
        read = Read()
        READ.append(weakref.ref(read))
        await asyncio.sleep(0)
        raise RateLimited(1) if info.context.principal is LOCAL else ValueError("a bug")

    @strawberry.field
    async def unfit(self) -> list[Row]:
        """Return what a plan gives up."""
        read = Read()
        READ.append(weakref.ref(read))
        return [cast(Row, SimpleNamespace(id="none", read=read))]


READ: list["weakref.ref[Read]"] = []


@pytest.mark.parametrize(
    ("text", "principal"),
    [
        ("{ rows { id } }", LOCAL),
        ("{ rows { id } more: rows { id } }", LOCAL),
        ("{ rows { id } }", Principal("me")),
        ("{ unfit { id } }", LOCAL),
    ],
    ids=["told", "told-and-dropped", "masked", "unfit"],
)
async def test_what_a_failed_operation_has_read_is_let_go_without_a_collection(text: str, principal: Principal) -> None:
    operations = Operations(strawberry.Schema(Failing), EdgeLimits())
    context = OperationContext(cast(Services, None), principal, "c1")
    READ.clear()
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            outcome = await operations.run(operations.prepare(GraphQLRequest(text)), None, None, context)
            assert outcome.errors
            del outcome
        await asyncio.sleep(0)
        assert READ
        assert [read() for read in READ if read() is not None] == []
    finally:
        gc.enable()
