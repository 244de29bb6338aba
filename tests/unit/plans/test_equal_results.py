"""A plan and graphql-core give the same bytes, whatever is asked and whatever was stored."""

import asyncio
import os
from datetime import datetime, tzinfo
from inspect import isawaitable
from types import SimpleNamespace
from typing import Any, Self, cast

import orjson
import pytest
from graphql import DocumentNode, ExecutionResult, execute_root_selection_set, parse, validate
from hypothesis import HealthCheck, assume, given, settings
from strawberry.execution import optimized_is_awaitable

from core import clock
from core.errors import NotFound
from gateway import errors
from gateway.context import OperationContext, Services
from gateway.identity.principals import LOCAL
from gateway.plans.execution import Execution
from gateway.plans.executor import PlannedExecutor
from gateway.plans.plan import Pace, Plan, Plans
from gateway.plans.scope import fragments_of
from tests.unit.plans.documents import GRAPHQL, IDENT, KINDS, ROOTS, documents, page, stored

EXAMPLES = int(os.environ.get("HEADWAY_PLAN_EXAMPLES", "500"))
CONTEXT = OperationContext(cast(Services, SimpleNamespace(kinds=KINDS)), LOCAL, "c1")
FOUND: dict[str, Any] = {}


class Silent:
    """A log of nothing: what is masked here was put there on purpose."""

    def error(self, _message: str, **_: object) -> None:
        """Say nothing."""


class StandingClock(datetime):
    """Tells one moment: what was stored without one is shown with that of whoever looks, and two look here."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        """Return the moment, in UTC."""
        return cls(2026, 1, 31, tzinfo=tz)


@pytest.fixture(autouse=True)
def _in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the roots find what the example holds; one that is an error is raised by its root."""
    monkeypatch.setattr(errors, "log", Silent())
    monkeypatch.setattr(clock, "datetime", StandingClock)
    assert GRAPHQL.query_type is not None
    for name in ROOTS:

        async def resolve(_source: Any, _info: Any, name: str = name, **_: Any) -> Any:
            if isinstance(FOUND[name], KeyError):
                raise FOUND[name]
            return FOUND[name]

        monkeypatch.setattr(GRAPHQL.query_type.fields[name], "resolve", resolve)


def build(document: DocumentNode, variables: dict[str, Any]) -> PlannedExecutor:
    """Return an executor that has no plan."""
    built = PlannedExecutor.build(
        GRAPHQL,
        document,
        context_value=CONTEXT,
        raw_variable_values=variables,
        is_awaitable=cast(Any, optimized_is_awaitable),
        operation_extensions={},
    )
    assert isinstance(built, PlannedExecutor)
    return built


async def run(executor: PlannedExecutor) -> bytes:
    """Return the response of graphql-core, the errors as clients see them."""
    result: Any = execute_root_selection_set(executor)
    return shown(await result if isawaitable(result) else result)


def shown(answer: ExecutionResult) -> bytes:
    """Return a response, the errors as clients see them."""
    return orjson.dumps([answer.data, errors.mask(answer.errors or (), "c1")], default=repr)


def execution(document: DocumentNode, variables: dict[str, Any]) -> Execution:
    """Return what executes an operation by its plan."""
    executor = build(document, variables)
    plan = plan_of(document, executor)
    return Execution(
        GRAPHQL,
        fragments_of(document),
        executor.operation,
        executor.variable_values,
        CONTEXT,
        {},
        hide_suggestions=False,
        plan=plan,
    )


def plan_of(document: DocumentNode, executor: PlannedExecutor) -> Plan:
    """Return the plan that an operation has when it is asked for the second time."""
    plans = Plans(GRAPHQL, document, lambda _: True, Pace(rest=0))
    assert plans.find(executor.operation, executor.variable_values).served == "new"
    return plans.find(executor.operation, executor.variable_values)


@pytest.mark.timeout(100_000)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(asked=documents(), found=stored())
def test_plan_and_graphql_core_answer_alike(asked: tuple[str, dict[str, Any]], found: dict[str, Any]) -> None:
    text, variables = asked
    document = parse(text)
    assume(not validate(GRAPHQL, document))
    FOUND.update(found)
    expected = asyncio.run(run(build(document, variables)))
    assert shown(asyncio.run(execution(document, variables).run())) == expected


def test_usual_list_is_rendered_whole_and_without_giving_up() -> None:
    document = parse("{ tasks { nodes { id kind status progress { percent } createdAt ... on Node { __typename } } } }")
    executor = build(document, {})
    plan = plan_of(document, executor)
    assert (plan.served, len(plan.renderers)) == ("whole", 1)


@pytest.mark.parametrize(
    ("text", "repeats"),
    [
        ("{ items { nodes { id name metadata } pageInfo { endCursor } } }", False),
        ("{ items { nodes { id a: metadata b: metadata } } }", True),
        ("{ items { nodes { metadata ...f } } } fragment f on Item { a: metadata }", True),
        ("{ tasks { nodes { ... on ProcessDataTask { a: id b: id } } } }", True),
        ("{ items { a: nodes { id } nodes { id } } }", True),
        ("{ a: items { nodes { id } } b: items { nodes { id } } }", True),
        ("{ items { totalCount nodes { id } } }", False),
        ("{ items { a: totalCount b: totalCount } }", True),
    ],
)
def test_plan_knows_whether_a_value_may_stand_in_the_answer_twice(text: str, repeats: bool) -> None:
    document = parse(text)
    assert plan_of(document, build(document, {})).repeats is repeats


@pytest.mark.parametrize(
    ("text", "served", "renderers"),
    [
        ("{ items { totalCount nodes { id } } }", "whole", 1),
        ('{ batch(id: "a") { tasks(first: 3) { totalCount nodes { id } } } }', "whole", 1),
        ('{ batch(id: "a") { id } item(id: "b") { id } }', "whole", 2),
        ("{ items { totalCount nodes { id } } tasks { nodes { timeline(last: 2) { at } } } }", "whole", 2),
        ("query($last: Int) { items { totalCount } tasks { nodes { timeline(last: $last) { at } } } }", "arguments", 0),
        ("{ __schema { types { name } } }", "introspection", 0),
    ],
)
def test_what_is_not_understood_is_told_by_reason(text: str, served: str, renderers: int) -> None:
    document = parse(text)
    plan = plan_of(document, build(document, {}))
    assert (plan.served, len(plan.renderers)) == (served, renderers)


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ("{ items { nodes { id } } }", 1),
        ("{ items { nodes { id name } } }", 1),
        ("query($first: Int = 3) { items(first: $first) { nodes { id } } }", 1),
        ("{ a: items { nodes { id } } b: items { nodes { id } } }", 2),
    ],
)
@pytest.mark.parametrize("fails", [False, True])
async def test_resolver_runs_once_whatever_becomes_of_its_value(
    monkeypatch: pytest.MonkeyPatch, text: str, calls: int, fails: bool
) -> None:
    given: list[dict[str, Any]] = []

    async def resolve(_source: Any, info: Any, **arguments: Any) -> Any:
        assert (info.context, info.path.prev, info.field_name) == (CONTEXT, None, "items")
        given.append(arguments)
        if fails:
            raise NotFound("item", "7")
        return page([SimpleNamespace(id=IDENT, name=object())])  # Neither an item nor JSON.

    monkeypatch.setattr(GRAPHQL.query_type.fields["items"], "resolve", resolve)  # type: ignore[union-attr]
    document = parse(text)
    answer = await execution(document, {}).run()
    assert len(given) == calls
    assert shown(answer) == await run(build(document, {}))
    assert answer.errors
    assert given[0] == given[-1]
