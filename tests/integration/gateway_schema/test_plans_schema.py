"""Plans on real servers: what is stored is answered alike by a plan and by graphql-core, and events are made once."""

import asyncio
import os
from contextlib import aclosing
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from prometheus_client import REGISTRY

from core.documents import Item, Task
from core.ids import new_id
from core.states import TaskStatus
from gateway.operations import Operations, Refused
from gateway.transports.limits import EdgeLimits
from gateway.transports.request import GraphQLRequest
from tests.integration.gateway_schema.asking import Gateway
from tests.unit.plans.documents import IDENT, MOMENT, SCHEMA, documents

EXAMPLES = int(os.environ.get("HEADWAY_PLAN_SERVER_EXAMPLES", "40"))
LIMITS = EdgeLimits(max_cost=10**9, max_depth=50, max_aliases=1_000, max_root_fields=100, max_directives=1_000)
FOLLOWERS = 25
FOLLOW = "subscription($id: ID!) { taskProgress(id: $id) { id status cursor timeline { status at } } }"
RESULT = {"inserted": 1, "updated": 2, "rejected": [{"line": 1, "reason": "r"}], "rejected_total": 1}


def counted(metric: str, label: str, value: str) -> float:
    """Return what a counter of this process has come to."""
    return REGISTRY.get_sample_value(metric, {label: value}) or 0.0


def task(**stored: Any) -> dict[str, Any]:
    """Return a stored task; what is given of it need not be as it should."""
    return {
        "_id": new_id(),
        "kind": "importItems",
        "owner": "local",
        "status": "SUCCEEDED",
        "priority": "LOW",
        "input": {"format": "CSV", "content": "x"},
        "max_attempts": 3,
        "timeout_s": 60.0,
        "created_at": MOMENT,
        "timeline": [{"epoch": 1, "n": 2, "at": MOMENT, "attempt": 1, "status": "FAILED", "error_code": "E"}],
        **stored,
    }


@pytest.fixture
async def stored(gateway: Gateway) -> Gateway:
    """A replica whose database holds good and bad documents."""
    items = [Item(id=IDENT, name="n", metadata={"a": [1, None]}), Item(name="m", description="d")]
    await Item.insert_many(items)
    await Task.get_pymongo_collection().insert_many(
        [
            task(_id=IDENT, result={**RESULT, "total_processed": 3}),
            task(kind="processData", input={"iterations": 2**40, "label": 7}, result={"processed_items": "text"}),
            task(kind="gone", status="FAILED", error={"code": "A", "message": "b"}, result=None),
            task(input=[1], progress={"current": 2**40, "total": 2**41}) | {"input": {}},
            task(kind="processData", input={"iterations": "x"}, result={}, retry_of=IDENT, batch_id=IDENT),
        ]
    )
    return gateway


@pytest.mark.timeout(100_000)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(asked=documents())
async def test_what_is_stored_is_answered_alike(stored: Gateway, asked: tuple[str, dict[str, Any]]) -> None:
    text, variables = asked
    operations, context = Operations(SCHEMA, LIMITS), stored.context
    try:
        prepared = operations.prepare(GraphQLRequest(text))
    except Refused:
        assume(False)
    answers = [(await operations.run(prepared, variables, None, context)).encode() for _ in range(3)]
    assert answers[1] == answers[0]
    assert answers[2] == answers[0]


BATCH = """query($id: ID!, $first: Int) {
  batch(id: $id) { total tasks(first: $first) { totalCount nodes { id kind } pageInfo { endCursor } } }
  tasks { totalCount }
}"""


async def test_fields_that_wait_are_rendered_with_the_rest(gateway: Gateway) -> None:
    inputs = [{"kind": "processData", "input": {"data": "x"}}] * 3
    submitted = await gateway.get(
        "mutation($inputs: [SubmitTaskInput!]!) { submitTasks(inputs: $inputs) { id } }", inputs=inputs
    )
    operations, context = Operations(SCHEMA, LIMITS), gateway.context
    prepared = operations.prepare(GraphQLRequest(BATCH))
    before = {served: counted("headway_plans_total", "served", served) for served in ("whole", "value")}
    for first, errors in ((2, ()), (0, ("batch", "tasks"))):
        variables = {"id": submitted["submitTasks"]["id"], "first": first}
        answers = [await operations.run(prepared, variables, None, context) for _ in range(3)]
        assert answers[0].encode() == answers[1].encode() == answers[2].encode()
        assert [tuple(error["path"]) for error in answers[0].errors] == ([errors] if errors else [])
    assert answers[0].data is None
    made = {served: counted("headway_plans_total", "served", served) - was for served, was in before.items()}
    assert made == {"whole": 5, "value": 3}


async def test_event_of_a_task_is_rendered_once_for_all_its_followers(gateway: Gateway) -> None:
    submitted = await gateway.get('mutation { submitTask(kind: "processData", input: {data: "x"}) { id } }')
    ident = submitted["submitTask"]["id"]
    operations = Operations(SCHEMA, LIMITS)
    prepared = operations.prepare(GraphQLRequest(FOLLOW))
    began: asyncio.Queue[None] = asyncio.Queue()

    async def follow() -> list[str]:
        told = []
        async with aclosing(operations.stream(prepared, {"id": ident}, None, gateway.context)) as outcomes:
            async for outcome in outcomes:
                told.append(outcome.encode().decode())
                began.put_nowait(None)
        return told

    async with asyncio.TaskGroup() as first, asyncio.timeout(30):
        alone = first.create_task(follow())
        await began.get()
        before = {made: counted("headway_frames_total", "made", made) for made in ("rendered", "shared", "executed")}
        others = [first.create_task(follow()) for _ in range(FOLLOWERS)]
        for _ in others:
            await began.get()
        await gateway.get("mutation($id: ID!) { cancelTask(id: $id) { id } }", id=ident)
    made = {made: counted("headway_frames_total", "made", made) - was for made, was in before.items()}
    assert all(other.result() == others[0].result() for other in others)
    assert TaskStatus.CANCELLED in others[0].result()[-1]
    assert alone.result()[-1] == others[0].result()[-1]
    assert made["executed"] == 0, "the first to ask had no plan, but goes on by that of the others"
    assert made["rendered"] == len(others[0].result())
    assert made["rendered"] + made["shared"] == FOLLOWERS * len(others[0].result()) + len(alone.result()) - 1
