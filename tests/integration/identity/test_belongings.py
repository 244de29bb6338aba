"""What one caller holds: so many subscriptions and no more, and files that nobody else may name."""

from typing import Any

import httpx

from gateway.transports.limits import EdgeLimits
from tests.integration.gateway_transports.edge import Edge
from tests.integration.identity.callers import FOLLOW, running_task
from tests.integration.identity.conftest import Serve, bearer

IMPORT = "mutation ($id: ID!) { importItems(input: {format: CSV, contentId: $id}) { input { contentId } } }"
NOBODYS = "0198c0de-0000-7000-8000-000000000000"


async def test_caller_has_so_many_subscriptions_over_all_transports_and_no_more(serve: Serve) -> None:
    edge = await serve(EdgeLimits(subscriptions_per_principal=2))
    of_alice, of_bob = {"id": str((await running_task()).id)}, {"id": str((await running_task("bob")).id)}
    alice, bob = bearer("alice"), bearer("bob")
    async with (
        edge.session(additional_headers=alice) as first,
        edge.session(additional_headers=alice) as second,
        edge.session(additional_headers=bob) as other,
    ):
        for client in (first, second):
            await client.subscribe("1", FOLLOW, variables=of_alice)
            assert (await client.read())["type"] == "next"
        await second.subscribe("2", FOLLOW, variables=of_alice)
        refused = await second.read()
        assert (refused["type"], refused["payload"][0]["extensions"]["code"]) == ("error", "RATE_LIMITED")
        assert "at most 2" in refused["payload"][0]["message"]
        assert "RATE_LIMITED" in await streamed(edge, alice, of_alice)
        await second.subscribe("q", "{ __typename }")
        assert (await second.read_until("complete"))[0]["payload"] == {"data": {"__typename": "Query"}}
        await other.subscribe("1", FOLLOW, variables=of_bob)
        assert (await other.read())["type"] == "next"
        await first.send(id="1", type="complete")
        await first.send(type="ping")
        await first.read_until("pong")
        await second.subscribe("3", FOLLOW, variables=of_alice)
        assert (await second.read())["type"] == "next"


async def streamed(edge: Edge, headers: dict[str, str], variables: dict[str, str]) -> str:
    """Return all that a distinct event stream says, which has to end by itself."""
    async with httpx.AsyncClient(trust_env=False) as http:
        asked = {"query": FOLLOW, "variables": variables}
        answer = await http.post(f"{edge.url}/graphql", json=asked, headers={**headers, "accept": "text/event-stream"})
        return answer.text


async def test_file_of_one_caller_does_not_exist_for_another(serve: Serve) -> None:
    edge = await serve()
    async with httpx.AsyncClient(base_url=edge.url, trust_env=False) as http:

        async def send(headers: dict[str, str]) -> httpx.Response:
            given = {**headers, "content-type": "text/csv"}
            return await http.post("/imports/content", content=b"name\nmine\n", headers=given)

        async def name(ident: str, headers: dict[str, str]) -> dict[str, Any]:
            asked = {"query": IMPORT, "variables": {"id": ident}}
            answer: dict[str, Any] = (await http.post("/graphql", json=asked, headers=headers)).json()
            return answer

        sent = await send(bearer("alice"))
        assert sent.status_code == 201, sent.text
        ident = sent.json()["contentId"]
        [of_another] = (await name(ident, bearer("bob")))["errors"]
        [of_nobody] = (await name(NOBODYS, bearer("bob")))["errors"]
        for error in (of_another, of_nobody):
            del error["extensions"]["correlationId"]
        assert of_another["extensions"] == of_nobody["extensions"]
        assert of_another["extensions"]["field"] == "input.contentId"
        assert of_another["message"].replace(ident, NOBODYS) == of_nobody["message"]
        named = await name(ident, bearer("alice"))
        assert named["data"]["importItems"]["input"]["contentId"] == ident
        assert (await send({})).status_code == 401
        refused = await send(bearer("carol", role="viewer"))
        assert (refused.status_code, refused.json()["errors"][0]["extensions"]["code"]) == (403, "FORBIDDEN")


async def test_files_take_their_size_from_the_owner_s_minute(serve: Serve) -> None:
    edge = await serve(cost_per_minute=450)
    async with httpx.AsyncClient(base_url=edge.url, trust_env=False) as http:

        async def send(owner: str, body: bytes) -> httpx.Response:
            given = {**bearer(owner), "content-type": "text/csv"}
            return await http.post("/imports/content", content=body, headers=given)

        assert (await send("alice", b"name\n" + b"x" * 3_000_000)).status_code == 201
        refused = await send("alice", b"name\nx\n")
        assert refused.status_code == 429
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert refused.json()["errors"][0]["extensions"]["code"] == "RATE_LIMITED"
        assert (await send("bob", b"name\nx\n")).status_code == 201
