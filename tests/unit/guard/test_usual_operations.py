"""What people ask of this schema passes the default limits, and what would hold a replica for long does not."""

from typing import Any, cast

import pytest

from gateway.context import OperationContext, Services
from gateway.guard.documents import Prepared
from gateway.identity.principals import Principal
from gateway.operations import Operations, Refused
from gateway.schema import build_schema
from gateway.transports.limits import EdgeLimits
from gateway.transports.request import GraphQLRequest
from jobs.kinds import load_kinds

SCHEMA = build_schema(load_kinds([]))
OPERATIONS = Operations(SCHEMA, EdgeLimits())
CONTEXT = OperationContext(cast(Services, None), Principal("me"), "c1")
ITEM = "id name description metadata createdAt updatedAt"
TASK = """
  id kind status attempt maxAttempts priority cursor createdAt startedAt finishedAt workerSeenAt cancelReason
  progress { current total percent message } error { code message } timeline { status at by reason error { code } }
"""
RESULTS = """
  ... on ProcessDataTask { input { data iterations } result { totalProcessed processedItems { index digest } } }
  ... on ImportItemsTask { result { inserted updated rejected { line reason } } }
"""
CREATE = f"mutation ($inputs: [CreateItemInput!]!) {{ createItems(inputs: $inputs) {{ {ITEM} }} }}"
PAGE = f"query ($n: Int!) {{ items(first: $n) {{ totalCount nodes {{ {ITEM} }} pageInfo {{ endCursor }} }} }}"
PAGES = " ".join(f"a{n}: items(first: 100) {{ edges {{ node {{ {ITEM} }} }} }}" for n in range(20))
SUBMIT = "mutation ($inputs: [SubmitTaskInput!]!) { submitTasks(inputs: $inputs) { id total counts { status count } } }"


def prepare(text: str) -> Prepared:
    """Return a document's only operation."""
    return OPERATIONS.prepare(GraphQLRequest(text))


def cost(text: str, **variables: Any) -> int:
    """Return what an operation costs; it must be allowed."""
    return OPERATIONS.cost(prepare(text), variables)


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        (CREATE, {"inputs": [{"name": "a"}] * 1_000}),
        (PAGE, {"n": 100}),
        (f"{{ items(first: 100) {{ edges {{ cursor node {{ {ITEM} }} }} }} }}", {}),
        (f"{{ tasks(first: 100) {{ totalCount nodes {{ {TASK} inputJson resultJson }} }} }}", {}),
        (f'{{ task(id: "a") {{ {TASK} {RESULTS} }} }}', {}),
        (f'subscription {{ taskProgress(id: "a") {{ {TASK} {RESULTS} }} }}', {}),
        (SUBMIT, {"inputs": [{"kind": "processData", "input": {}}] * 1_000}),
        (f'{{ batch(id: "a") {{ counts {{ status count }} tasks(first: 100) {{ nodes {{ {TASK} }} }} }} }}', {}),
        ("{ taskKinds { name description inputSchema } health { status services { name status } } }", {}),
    ],
)
def test_usual_operations_are_allowed(text: str, variables: dict[str, Any]) -> None:
    assert 0 < cost(text, **variables) <= EdgeLimits().max_cost


def test_page_of_100_items_costs_what_it_is() -> None:
    assert cost(f"{{ items(first: 100) {{ nodes {{ {ITEM} }} }} }}") == 1 + 1 + 100 + 60


@pytest.mark.parametrize(
    "text",
    [
        f"{{ tasks(first: 100) {{ nodes {{ {RESULTS} }} }} }}",
        f"{{ {PAGES} }}",
        "mutation { " + " ".join(f"a{n}: cancelTasks(filter: {{}}) {{ changed }}" for n in range(5)) + " }",
    ],
)
def test_dear_operations_are_refused(text: str) -> None:
    with pytest.raises(Refused) as refused:
        cost(text)
    [error] = refused.value.errors
    assert error["extensions"]["code"] == "COST_LIMIT_EXCEEDED"
    assert error["extensions"]["actual"] > error["extensions"]["allowed"] == EdgeLimits().max_cost


async def test_dear_operation_never_begins() -> None:
    operations = Operations(SCHEMA, EdgeLimits(max_cost=1))
    prepared = operations.prepare(GraphQLRequest("{ items { nodes { id } } }"))
    with pytest.raises(Refused, match="at most 1; this one costs 24"):
        await operations.run(prepared, None, None, CONTEXT)


async def test_suggestions_about_variables_can_be_switched_off_too() -> None:
    text = "query ($order: ItemOrder) { items(order: $order) { totalCount } }"
    for shown in (True, False):
        operations = Operations(SCHEMA, EdgeLimits(suggestions=shown))
        with pytest.raises(Refused) as refused:
            await operations.run(operations.prepare(GraphQLRequest(text)), {"order": "NEWEST_FIRS"}, None, CONTEXT)
        assert ("Did you mean" in refused.value.errors[0]["message"]) is shown
