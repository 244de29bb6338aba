"""The largest usual operations are executed within the default limits."""

from typing import Any

from gateway.operations import Operations
from gateway.transports.limits import EdgeLimits
from gateway.transports.request import GraphQLRequest
from tests.integration.gateway_schema.asking import Gateway

CREATE = "mutation ($inputs: [CreateItemInput!]!) { createItems(inputs: $inputs) { id name } }"
PAGE = "query ($n: Int!) { items(first: $n) { nodes { id name description metadata createdAt updatedAt } } }"


async def test_a_thousand_items_are_made_and_a_hundred_read(gateway: Gateway) -> None:
    operations = Operations(gateway.schema, EdgeLimits())

    async def run(text: str, variables: dict[str, Any]) -> dict[str, Any]:
        outcome = await operations.run(operations.prepare(GraphQLRequest(text)), variables, None, gateway.context)
        assert not outcome.errors
        assert outcome.data is not None
        return outcome.data

    inputs = [{"name": f"n{index}", "metadata": {"index": index}} for index in range(1_000)]
    assert len((await run(CREATE, {"inputs": inputs}))["createItems"]) == 1_000
    nodes = (await run(PAGE, {"n": 100}))["items"]["nodes"]
    assert [node["metadata"]["index"] for node in nodes] == list(range(999, 899, -1))
