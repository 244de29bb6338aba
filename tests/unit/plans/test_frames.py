"""Events of subscriptions: what a plan makes of them is what graphql-core would, and it is made once for all."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest
from graphql import execute_subscription_event, parse, validate
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from core.documents import Role, Task
from core.states import Delivery, Priority, TaskStatus
from gateway import errors
from gateway.context import OperationContext
from gateway.frames import MAX_FRAMES, Frames
from gateway.identity.meter import Meter
from gateway.identity.principals import Principal
from gateway.outcomes import Outcome, outcome_of
from gateway.plans.execution import Execution
from gateway.plans.plan import NEW, Plan
from gateway.schema.task_view import TaskView
from gateway.subscription import Subscription
from gateway.transports.limits import MAX_RESPONSE_BYTES
from tests.unit.plans.documents import GRAPHQL, MOMENT, subscriptions, told
from tests.unit.plans.test_equal_results import CONTEXT, EXAMPLES, Silent, build, execution

TEXT = 'subscription { taskProgress(id: "00000000-0000-0000-0000-000000000007") { id status progress { percent } } }'


def counted() -> tuple[float, float, float]:
    """Return how many events were rendered, shared and executed so far."""
    found = [REGISTRY.get_sample_value("headway_frames_total", {"made": made}) for made in _MADE]
    return found[0] or 0.0, found[1] or 0.0, found[2] or 0.0


_MADE = ("rendered", "shared", "executed")


def planned(text: str, variables: dict[str, Any], context: OperationContext = CONTEXT) -> Execution:
    """Return what executes an operation, with its plan."""
    return replace(execution(parse(text), variables), context_value=context)


def task(number: int = 0) -> Task:
    """Return a task that runs."""
    made: Task = Task.model_construct(
        kind="gone", status=TaskStatus.RUNNING, priority=Priority.LOW, input={}, attempt=1, created_at=MOMENT, n=number
    )
    return made


def following(frames: Frames, executor: Execution, source: AsyncGenerator[Any, None]) -> Subscription:
    """Return a subscription whose resolver has returned this source."""
    subscription = Subscription(frames, executor, Meter(0, executor.context_value), None, lambda _: None)
    subscription._source = source
    return subscription


async def outcomes(frames: Frames, executor: Execution, *events: Any) -> list[Outcome]:
    """Return what a follower is told of these events."""

    async def source() -> AsyncGenerator[Any, None]:
        for event in events:
            yield event

    made: list[Outcome] = []
    async with aclosing(following(frames, executor, source())) as follower:
        while (outcome := await follower.next()) is not None:
            made.append(outcome)
    return made


@pytest.mark.timeout(100_000)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(asked=subscriptions(), data=st.data())
def test_events_are_told_as_graphql_core_would(asked: tuple[str, str, dict[str, Any]], data: st.DataObject) -> None:
    root, text, variables = asked
    assume(not validate(GRAPHQL, parse(text)))
    event = data.draw(told(root))

    async def check() -> None:
        plain = build(parse(text), variables).build_per_event_executor(event)
        result: Any = execute_subscription_event(plain)
        expected = outcome_of(
            await result if asyncio.iscoroutine(result) else result, CONTEXT, None, MAX_RESPONSE_BYTES
        )
        frames, executor = Frames(MAX_RESPONSE_BYTES), planned(text, variables)
        for outcome in await outcomes(frames, executor, event, event):
            assert outcome.encode() == expected.encode()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(errors, "log", Silent())
        asyncio.run(check())


async def test_event_is_rendered_once_for_all_followers() -> None:
    frames, document = Frames(MAX_RESPONSE_BYTES), task()
    executor = planned(TEXT, {})
    before = counted()
    told_of = [(await outcomes(frames, executor, TaskView(document)))[0] for _ in range(20)]
    rendered, shared, executed = (now - then for now, then in zip(counted(), before, strict=True))
    assert (rendered, shared, executed) == (1, 19, 0)
    assert all(outcome.encode() is told_of[0].encode() for outcome in told_of)


async def test_what_differs_for_the_follower_is_not_shared() -> None:
    frames, document = Frames(MAX_RESPONSE_BYTES), task()
    other = replace(CONTEXT, principal=Principal("other", Role.VIEWER))
    before = counted()
    for executor in (planned(TEXT, {}), planned(TEXT, {}), planned(TEXT, {}, other)):
        await outcomes(frames, executor, TaskView(document), TaskView(document, Delivery.DEGRADED))
    assert counted() == (before[0] + 6, before[1], before[2])


async def test_another_document_is_rendered_even_at_the_place_of_one_that_is_gone() -> None:
    frames, executor = Frames(MAX_RESPONSE_BYTES), planned(TEXT, {})
    before = counted()
    for _ in range(50):
        await outcomes(frames, executor, TaskView(task()))
    assert counted() == (before[0] + 50, before[1], before[2])


async def test_only_the_latest_are_kept() -> None:
    frames, executor = Frames(MAX_RESPONSE_BYTES), planned(TEXT, {})
    documents = [task(number) for number in range(MAX_FRAMES + 1)]
    await outcomes(frames, executor, *(TaskView(document) for document in documents))
    before = counted()
    await outcomes(frames, executor, TaskView(documents[-1]), TaskView(documents[0]))
    assert counted() == (before[0] + 1, before[1] + 1, before[2])


async def test_subscription_that_came_before_its_plan_goes_on_by_that(monkeypatch: pytest.MonkeyPatch) -> None:
    events = [TaskView(task(number)) for number in range(4)]

    async def source(_source: Any, _info: Any, **_: Any) -> AsyncGenerator[TaskView, None]:
        for event in events:
            yield event

    assert GRAPHQL.subscription_type is not None
    monkeypatch.setattr(GRAPHQL.subscription_type.fields["taskProgress"], "subscribe", source)
    with_plan = planned(TEXT, {})
    first = replace(with_plan, plan=Plan(NEW))
    found = iter([Plan(NEW), with_plan.plan])  # Asked for from the second event on, and no more once it is there.
    meter = Meter(0, first.context_value)
    follower = Subscription(Frames(MAX_RESPONSE_BYTES), first, meter, None, lambda _: None, plan=lambda: next(found))
    made: list[bytes] = []
    counts: list[tuple[float, ...]] = []
    before = counted()
    async with aclosing(follower):
        while (outcome := await follower.next()) is not None:
            made.append(outcome.encode())
            counts.append(tuple(now - then for now, then in zip(counted(), before, strict=True)))
    expected = await outcomes(Frames(MAX_RESPONSE_BYTES), with_plan, *events)
    assert made == [outcome.encode() for outcome in expected]
    assert counts == [(0, 0, 1), (0, 0, 2), (1, 0, 2), (2, 0, 2)]


async def test_source_is_closed_with_its_follower() -> None:
    closed = asyncio.Event()

    async def source() -> AsyncGenerator[TaskView, None]:
        try:
            while True:
                yield TaskView(task())
        finally:
            closed.set()

    executor = planned(TEXT, {})
    async with aclosing(following(Frames(MAX_RESPONSE_BYTES), executor, source())) as told_of:
        assert await told_of.next() is not None
    assert closed.is_set()
