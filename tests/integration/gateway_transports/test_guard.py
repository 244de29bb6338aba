"""The guard on a live gateway: refused before execution, in each transport's own way, while the connection goes on."""

import asyncio
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.errors import StartupError
from core.settings import Settings
from gateway.app import create_app
from gateway.transports.limits import EdgeLimits
from tests.integration.gateway_transports.edge import Edge
from tests.unit.guard.attacks import ATTACKS

RESPONSE_JSON = "application/graphql-response+json"
JSON = "application/json"
DEAR = "{ " + " ".join(f"a{number}: hello" for number in range(11)) + " }"
"""Eleven plain values: 1.1, so 2."""
WIDE = "{ " + "hello " * 21 + "}"
KNOWN = "query Known($name: String!) { hello(name: $name) }"
HASH = sha256(KNOWN.encode()).hexdigest()
CHANGE = 'mutation { store(content: "abc") }'
CHANGE_HASH = sha256(CHANGE.encode()).hexdigest()
GREETING = {"data": {"hello": "Hello, you"}}


def only_error(body: Any) -> Any:
    """Return the only error of a response without data."""
    assert list(body) == ["errors"]
    [error] = body["errors"]
    return error


class TestLimits:
    """With a cost of 1 allowed."""

    @pytest.fixture
    def limits(self) -> EdgeLimits:
        return EdgeLimits(max_cost=1)

    @pytest.mark.parametrize(("accept", "status"), [(JSON, 200), (RESPONSE_JSON, 400)])
    @pytest.mark.parametrize(
        ("query", "code", "limit", "allowed", "actual"),
        [(DEAR, "COST_LIMIT_EXCEEDED", "cost", 1, 2), (WIDE, "QUERY_TOO_COMPLEX", "rootFields", 20, 21)],
    )
    async def test_http_answers_as_it_does_to_invalid_documents(
        self,
        client: httpx.AsyncClient,
        accept: str,
        status: int,
        query: str,
        code: str,
        limit: str,
        allowed: int,
        actual: int,
    ) -> None:
        response = await client.post("/graphql", json={"query": query}, headers={"accept": accept})
        assert response.status_code == status
        expected = {"code": code, "limit": limit, "allowed": allowed, "actual": actual}
        assert only_error(response.json())["extensions"] == expected

    async def test_socket_gets_an_error_and_stays_open(self, edge: Edge) -> None:
        async with edge.session() as client:
            for number, query in enumerate((DEAR, WIDE, "{ hello }")):
                await client.subscribe(str(number), query)
            codes = [(await client.read())["payload"][0]["extensions"]["code"] for _ in range(2)]
            assert codes == ["COST_LIMIT_EXCEEDED", "QUERY_TOO_COMPLEX"]
            assert await client.read() == {"id": "2", "type": "next", "payload": {"data": {"hello": "Hello, world"}}}
            assert await client.read() == {"id": "2", "type": "complete"}

    async def test_event_stream_tells_of_it_too(self, client: httpx.AsyncClient) -> None:
        for query, code in ((DEAR, "COST_LIMIT_EXCEEDED"), (WIDE, "QUERY_TOO_COMPLEX")):
            response = await client.post("/graphql", json={"query": query}, headers={"accept": "text/event-stream"})
            assert code in response.text
            assert "Hello" not in response.text

    async def test_cost_is_told_to_who_asks(self, edge: Edge, client: httpx.AsyncClient) -> None:
        asked = {"query": "{ hello }", "extensions": {"cost": True}}
        body = (await client.post("/graphql", json=asked)).json()
        assert body == {"data": {"hello": "Hello, world"}, "extensions": {"cost": {"requested": 1, "allowed": 1}}}
        async with edge.session() as session:
            await session.subscribe("1", "subscription { count(to: 1) }", extensions={"cost": True})
            frames = await session.read_until("complete")
        assert frames[0]["payload"] == {"data": {"count": 0}, "extensions": {"cost": {"requested": 1, "allowed": 1}}}


class TestAttacks:
    """With the limits that everybody has."""

    async def test_a_burst_of_attacks_is_answered_while_others_are_served(self, client: httpx.AsyncClient) -> None:
        async def attack(text: str) -> int:
            response = await client.post("/graphql", json={"query": text}, headers={"accept": RESPONSE_JSON})
            assert "data" not in response.json()
            return response.status_code

        texts = [text for text, _ in ATTACKS.values() if len(text) < 1_000_000]
        statuses = await asyncio.gather(*(attack(text) for text in texts))
        assert set(statuses) == {400}
        assert (await client.post("/graphql", json={"query": "{ hello }"})).json() == {
            "data": {"hello": "Hello, world"}
        }

    @pytest.mark.parametrize(
        "content",
        [
            b'{"query":"{ hello }","variables":{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
            b'{"query":"{ hello }","extensions":{"a":' + b'{"a":' * 70 + b"1" + b"}" * 70 + b"}}",
            b'{"query":"{ hello }","ignored":' + b"[" * 400_000 + b"]" * 400_000 + b"}",
            b'{"query":"{ hello }","variables":{"a":[' + b"0," * 20_000 + b"0]}}",
            b'{"query":"{ hello }","extensions":{"a":[' + b"[]," * 20_000 + b"0]}}",
        ],
        ids=["deep variables", "deep extensions", "deep and ignored", "many variables", "many extensions"],
    )
    async def test_json_that_is_too_deep_or_too_much_is_refused(
        self, client: httpx.AsyncClient, content: bytes
    ) -> None:
        response = await client.post("/graphql", content=content, headers={"content-type": JSON})
        assert response.status_code == 400
        assert only_error(response.json())["extensions"]["code"] == "BAD_REQUEST"

    async def test_values_of_the_wrong_kind_by_the_thousand_are_answered_shortly(
        self, client: httpx.AsyncClient
    ) -> None:
        asked = {"query": "query ($n: String!) { hello(name: $n) }", "variables": {"n": [{"x": 1}] * 9_000}}
        body = (await client.post("/graphql", json=asked)).json()
        assert body["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
        assert len(json.dumps(body)) < 10_000


class TestSwitches:
    """With suggestions and introspection off."""

    @pytest.fixture
    def limits(self) -> EdgeLimits:
        return EdgeLimits(suggestions=False, introspection=False)

    async def test_schema_is_not_told(self, client: httpx.AsyncClient) -> None:
        body = (await client.post("/graphql", json={"query": "{ __schema { queryType { name } } }"})).json()
        assert "introspection has been disabled" in body["errors"][0]["message"]
        body = (await client.post("/graphql", json={"query": "{ helo }"})).json()
        assert only_error(body)["message"] == "Cannot query field 'helo' on type 'Query'."


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """A manifest of a query and a mutation."""
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({HASH: KNOWN, CHANGE_HASH: CHANGE}))
    return path


class TestTrusted:
    """With nothing but trusted documents."""

    @pytest.fixture
    def limits(self, manifest: Path) -> EdgeLimits:
        return EdgeLimits(trusted_mode="only", trusted_documents=str(manifest))

    @pytest.mark.parametrize(
        "named",
        [
            {"documentId": f"sha256:{HASH}"},
            {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": HASH}}},
            {"query": KNOWN},
        ],
    )
    async def test_they_are_executed_over_every_transport(
        self, edge: Edge, client: httpx.AsyncClient, named: dict[str, Any]
    ) -> None:
        asked = {**named, "variables": {"name": "you"}}
        assert (await client.post("/graphql", json=asked)).json() == GREETING
        params = {name: value if isinstance(value, str) else json.dumps(value) for name, value in asked.items()}
        assert (await client.get("/graphql", params=params, headers={"accept": JSON})).json() == GREETING
        events = await client.post("/graphql", json=asked, headers={"accept": "text/event-stream"})
        assert "Hello, you" in events.text
        async with edge.session() as session:
            await session.send(id="1", type="subscribe", payload=asked)
            assert (await session.read())["payload"] == GREETING
            assert (await session.read())["type"] == "complete"

    async def test_other_documents_are_refused_over_every_transport(
        self, edge: Edge, client: httpx.AsyncClient
    ) -> None:
        response = await client.post("/graphql", json={"query": "{ hello }"}, headers={"accept": RESPONSE_JSON})
        assert response.status_code == 400
        assert only_error(response.json())["extensions"] == {"code": "PERSISTED_QUERY_ONLY"}
        async with edge.session() as session:
            await session.subscribe("1", "{ hello }")
            assert (await session.read())["payload"][0]["extensions"] == {"code": "PERSISTED_QUERY_ONLY"}

    async def test_unknown_id_is_told_as_apollo_clients_expect(self, edge: Edge, client: httpx.AsyncClient) -> None:
        extensions = {"persistedQuery": {"version": 1, "sha256Hash": "0" * 64}}
        error = only_error((await client.post("/graphql", json={"extensions": extensions})).json())
        assert error == {"message": "PersistedQueryNotFound", "extensions": {"code": "PERSISTED_QUERY_NOT_FOUND"}}
        async with edge.session() as session:
            await session.send(id="1", type="subscribe", payload={"extensions": extensions})
            assert (await session.read())["payload"] == [error]

    async def test_trusted_mutation_by_get_is_still_refused(self, client: httpx.AsyncClient) -> None:
        params = {"documentId": f"sha256:{CHANGE_HASH}"}
        response = await client.get("/graphql", params=params, headers={"accept": RESPONSE_JSON})
        assert (response.status_code, response.headers["allow"]) == (405, "POST")

    async def test_request_without_any_document_is_no_request(self, edge: Edge, client: httpx.AsyncClient) -> None:
        response = await client.post("/graphql", json={"variables": {}})
        assert response.status_code == 400
        assert only_error(response.json())["extensions"]["code"] == "BAD_REQUEST"
        async with edge.session() as session:
            await session.send(id="1", type="subscribe", payload={})
            code, reason = await session.read_close()
        assert (code, reason) == (4400, "Invalid message: expected the parameter `query`")


def test_manifest_that_lies_stops_the_start(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({"0" * 64: KNOWN}))
    with pytest.raises(StartupError, match=r"HEADWAY_TRUSTED_DOCUMENTS: .*its SHA-256 is"):
        create_app(Settings(), EdgeLimits(trusted_mode="prefer", trusted_documents=str(path)))
