"""Resolvers are given the same arguments by a plan and by graphql-core with Strawberry, and answers are the same."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import orjson
import pytest
from graphql import OperationDefinitionNode, get_variable_values, parse, validate
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from strawberry.extensions import FieldExtension

from core.documents import Role
from gateway import errors
from gateway.context import OperationContext
from gateway.identity.principals import Principal
from gateway.operations import NO_VALUES
from gateway.plans.execution import Execution
from gateway.plans.plan import Pace, Plans
from gateway.plans.scope import fragments_of
from tests.unit.plans.asked import ROOT_FIELDS, Asked, asked, resolved
from tests.unit.plans.documents import GRAPHQL
from tests.unit.plans.test_equal_results import CONTEXT, EXAMPLES, Silent, build, run, shown
from tests.unit.plans.test_plans import served

CALLS: list[str] = []
FOUND: list[Any] = []


@pytest.fixture(autouse=True)
def _told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every resolver note what it is given, and return what the example holds."""
    monkeypatch.setattr(errors, "log", Silent())
    for parent, name in ROOT_FIELDS:
        definition = parent.fields[name].extensions["strawberry-definition"]
        resolve = _noting(name, is_async=definition.is_async)
        monkeypatch.setattr(definition.base_resolver, "wrapped_func", resolve)


def _noting(name: str, *, is_async: bool) -> Callable[..., Any]:
    def resolve(*source: Any, info: Any = None, **arguments: Any) -> Any:
        told = (info.context is CONTEXT, info.field_name, info.path.key) if info else None
        CALLS.append(repr((name, source, told, sorted(arguments.items()))))
        found = FOUND[len(CALLS) % len(FOUND)]
        if isinstance(found, KeyError):
            raise found
        return found

    async def resolve_soon(*source: Any, **arguments: Any) -> Any:
        return resolve(*source, **arguments)

    return resolve_soon if is_async else resolve


def planned(made: Asked, context: OperationContext = CONTEXT) -> Execution | None:
    """Return the execution by a plan whose code coerces the variables; None where it says that it can't."""
    document = parse(made.text)
    operation = cast(OperationDefinitionNode, document.definitions[0])
    values = get_variable_values(GRAPHQL, operation.variable_definitions or (), made.variables)
    plans = Plans(GRAPHQL, document, lambda _: True, Pace(rest=0))
    for _ in range(2):
        plan = plans.find(operation, NO_VALUES)
    coerced = plans.coerce(operation, made.variables) if operation.variable_definitions else NO_VALUES
    if isinstance(values, list):
        assert coerced is None
    if coerced is None or isinstance(values, list):
        return None
    assert repr(coerced.coerced) == repr(values.coerced)
    assert [(name, one.value) for name, one in coerced.sources.items()] == [
        (name, one.value) for name, one in values.sources.items()
    ]
    fragments = fragments_of(document)
    return Execution(GRAPHQL, fragments, operation, coerced, context, {}, hide_suggestions=False, plan=plan)


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")  # graphql-core drops those beside a failed root.
@pytest.mark.timeout(100_000)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(made=asked(), found=st.lists(resolved(), min_size=2, max_size=2))
def test_plan_and_strawberry_call_alike(made: Asked, found: list[Any]) -> None:
    document = parse(made.text)
    assume(not validate(GRAPHQL, document))
    FOUND[:] = found
    execution = planned(made)
    if execution is None:
        return
    CALLS.clear()
    answer = shown(asyncio.run(execution.run()))
    called = list(CALLS)
    CALLS.clear()
    assert answer == asyncio.run(run(build(document, made.variables)))
    if made.text.startswith("mutation"):
        assert called == CALLS
    else:  # graphql-core calls no more resolvers when one has failed; nothing hangs on that where they only read.
        assert not Counter(CALLS) - Counter(called)
        assert len(called) <= made.text.count("r1:") + 1


SUBMIT = "mutation($input: ProcessDataInput!) { processData(input: $input, options: {maxAttempts: 2}) { id } }"
FITTING = {"input": {"data": "x"}}


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        (SUBMIT, FITTING),
        ('mutation { submitTask(kind: "processData", input: {data: "x", more: [1]}) { id } }', {}),
        ("query($first: Int = 3, $order: TaskOrder) { tasks(first: $first, order: $order) { nodes { id } } }", {}),
        ("mutation($id: ID!) { deleteItem(id: $id) }", {"id": "7"}),
        ("{ taskKinds { name } }", {}),
    ],
)
async def test_usual_operation_goes_past_strawberry(text: str, variables: dict[str, Any]) -> None:
    before = served("strawberry"), served("value")
    FOUND[:] = [KeyError("gone")]
    execution = planned(Asked(text, [], variables))
    assert execution is not None
    await execution.run()
    assert (served("strawberry"), served("value")) == before


@pytest.mark.parametrize("input", [None, {}, {"data": 5}, {"data": "x", "more": 1}, "x"])
def test_variables_that_do_not_fit_are_left_to_graphql_core(input: Any) -> None:
    assert planned(Asked(SUBMIT, [], {"input": input})) is None


async def test_field_with_an_extension_is_left_to_strawberry(monkeypatch: pytest.MonkeyPatch) -> None:
    definition = GRAPHQL.query_type.fields["taskKinds"].extensions["strawberry-definition"]  # type: ignore[union-attr]
    monkeypatch.setattr(definition, "extensions", [FieldExtension()])
    before = served("strawberry")
    FOUND[:] = [[]]
    execution = planned(Asked("{ taskKinds { name } }"))
    assert execution is not None
    await execution.run()
    assert served("strawberry") == before + 1


async def test_caller_without_the_role_is_refused_before_the_resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    viewer = replace(CONTEXT, principal=Principal("v", Role.VIEWER))
    execution = planned(Asked(SUBMIT, [], FITTING), viewer)
    assert execution is not None
    CALLS.clear()
    answer = orjson.loads(shown(await execution.run()))
    assert answer[1][0]["extensions"]["code"] == "FORBIDDEN"
    assert CALLS == []
