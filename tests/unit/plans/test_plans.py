"""When a document has plans, how much they may take, and that operations run by them and count it."""

import time
from types import SimpleNamespace
from typing import Any, cast

import pytest
from graphql import parse
from prometheus_client import REGISTRY

from gateway.context import OperationContext, Services
from gateway.identity.principals import LOCAL
from gateway.operations import Operations
from gateway.plans.plan import Pace, Plans
from gateway.transports.limits import EdgeLimits
from gateway.transports.request import GraphQLRequest
from tests.unit.plans.documents import GRAPHQL, KINDS, SCHEMA
from tests.unit.plans.test_equal_results import build

TEXT = "query($a: Boolean = true) { taskKinds { name timeoutS @include(if: $a) } }"
CONTEXT = OperationContext(cast(Services, SimpleNamespace(kinds=KINDS)), LOCAL, "c1")


def served(reason: str) -> float:
    """Return how many operations, or values of the reason `value`, were counted so far."""
    return REGISTRY.get_sample_value("headway_plans_total", {"served": reason}) or 0.0


def test_plan_that_the_memory_has_no_room_for_is_not_made_again() -> None:
    document = parse(TEXT)
    asked: list[int] = []

    def refuse(by: int) -> bool:
        asked.append(by)
        return False

    plans = Plans(GRAPHQL, document, refuse, Pace())
    executor = build(document, {})
    found = [plans.find(executor.operation, executor.variable_values).served for _ in range(4)]
    assert found == ["new", "memory", "memory", "memory"]
    (size,) = asked
    assert size > 1_000


async def test_operation_runs_by_its_plan_from_the_second_time_on() -> None:
    operations = Operations(SCHEMA, EdgeLimits())
    before = served("new"), served("whole"), served("value")
    answers = [
        (await operations.run(operations.prepare(GraphQLRequest(TEXT)), None, None, CONTEXT)).encode() for _ in range(3)
    ]
    assert answers[0] == answers[1] == answers[2]
    assert (served("new"), served("whole"), served("value")) == (before[0] + 1, before[1] + 2, before[2])


def test_the_next_plan_waits_until_others_had_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    pace = Pace(rest=3.0)
    assert pace.is_due
    now = 100.25
    pace.note(100.0)
    now = 100.99
    assert not pace.is_due
    now = 101.0
    assert pace.is_due


async def test_conditions_have_plans_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pace, "is_due", True)
    operations = Operations(SCHEMA, EdgeLimits())

    async def ask(variables: dict[str, Any] | None) -> bytes:
        prepared = operations.prepare(GraphQLRequest(TEXT))
        return (await operations.run(prepared, variables, None, CONTEXT)).encode()

    with_timeout = [await ask(None) for _ in range(2)]
    without = [await ask({"a": False}) for _ in range(2)]
    assert [b"timeoutS" in answer for answer in with_timeout + without] == [True, True, False, False]


@pytest.mark.parametrize("cache_bytes", [0, 33_554_432])
async def test_documents_that_are_not_kept_run_all_the_same(cache_bytes: int) -> None:
    operations = Operations(SCHEMA, EdgeLimits(document_cache_bytes=cache_bytes))
    prepared = operations.prepare(GraphQLRequest("{ taskKinds { name } }"))
    answers = [(await operations.run(prepared, None, None, CONTEXT)).encode() for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]
