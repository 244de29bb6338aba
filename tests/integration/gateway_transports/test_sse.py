"""graphql-sse on a live gateway, event by event: both modes, every refusal, and that nothing is left of a stream."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from tests.integration.gateway_transports.edge import JSON, Edge, code_of
from tests.integration.gateway_transports.event_stream import EVENTS, TOKEN, opened, reserve, start, told


class TestDistinctMode:
    async def test_subscription_by_post_ends_with_complete(self, client: httpx.AsyncClient) -> None:
        async with opened(client, "POST", json={"query": "subscription { count }"}) as stream:
            assert stream.response.headers["x-accel-buffering"] == "no"
            assert await stream.read_all() == [
                *(("next", {"data": {"count": number}}) for number in range(3)),
                ("complete", None),
            ]

    async def test_subscription_by_get_as_an_event_source_asks(self, client: httpx.AsyncClient) -> None:
        params = {"query": "subscription ($to: Int) { count(to: $to) }", "variables": '{"to": 1}'}
        async with opened(client, params=params) as stream:
            assert await stream.read_all() == [("next", {"data": {"count": 0}}), ("complete", None)]

    @pytest.mark.parametrize(
        ("query", "data"),
        [("{ hello }", {"hello": "Hello, world"}), ('mutation { store(content: "x") }', {"store": 1})],
    )
    async def test_query_and_mutation_are_one_event(
        self, client: httpx.AsyncClient, query: str, data: dict[str, Any]
    ) -> None:
        async with opened(client, "POST", json={"query": query}) as stream:
            assert await stream.read_all() == [("next", {"data": data}), ("complete", None)]

    @pytest.mark.parametrize(
        ("query", "code"),
        [
            ("{", "GRAPHQL_PARSE_FAILED"),
            ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
            ("subscription A { count } query B { hello }", "OPERATION_RESOLUTION_FAILURE"),
            ("subscription ($to: Int!) { count(to: $to) }", "BAD_USER_INPUT"),
            ("query ($name: String!) { hello(name: $name) }", "BAD_USER_INPUT"),
        ],
    )
    async def test_operation_that_never_begins_is_told_on_the_stream(
        self, client: httpx.AsyncClient, query: str, code: str
    ) -> None:
        async with opened(client, "POST", json={"query": query}) as stream:
            (name, result), end = await stream.read_all()
        assert (name, end) == ("next", ("complete", None))
        assert list(result) == ["errors"]
        assert result["errors"][0]["extensions"]["code"] == code

    @pytest.mark.parametrize(("masked", "code"), [(True, "INTERNAL"), (False, "BAD_USER_INPUT")])
    async def test_source_that_fails_ends_with_a_masked_error(
        self, client: httpx.AsyncClient, masked: bool, code: str
    ) -> None:
        body = {
            "query": "subscription ($masked: Boolean!) { failing(masked: $masked) }",
            "variables": {"masked": masked},
        }
        async with opened(client, "POST", json=body) as stream:
            first, (name, result), end = await stream.read_all()
        assert first == ("next", {"data": {"failing": 0}})
        assert (name, end) == ("next", ("complete", None))
        assert result["errors"][0]["extensions"]["code"] == code
        assert "secret" not in json.dumps(result)

    @pytest.mark.parametrize(
        ("method", "request_", "status"),
        [
            ("POST", {"content": b"nonsense", "headers": {"content-type": JSON}}, 400),
            ("POST", {"content": b"null", "headers": {"content-type": JSON}}, 400),
            ("POST", {"content": b"{}", "headers": {"content-type": "text/plain"}}, 415),
            ("POST", {"content": b"", "headers": {"content-type": JSON, "content-encoding": "gzip"}}, 415),
            ("GET", {}, 400),
            ("GET", {"params": {"query": 'mutation { store(content: "x") }'}}, 405),
        ],
    )
    async def test_request_that_is_no_graphql_request_opens_no_stream(
        self, client: httpx.AsyncClient, method: str, request_: dict[str, Any], status: int
    ) -> None:
        headers = EVENTS | request_.pop("headers", {})
        response = await client.request(method, "/graphql", headers=headers, **request_)
        assert response.status_code == status
        assert response.headers["content-type"] == "application/json; charset=utf-8"
        code_of(response)

    async def test_client_that_leaves_closes_its_source(self, edge: Edge, client: httpx.AsyncClient) -> None:
        async with opened(client, "POST", json={"query": "subscription { silence }"}):
            await edge.probe.wait_for_sources(1)
        await edge.probe.wait_for_sources(0)
        await edge.wait_until_empty()

    async def test_client_that_does_not_read_holds_its_source_back(self, edge: Edge) -> None:
        _reader, writer = await asyncio.open_connection("127.0.0.1", edge.port, limit=1024)
        writer.write(
            b"GET /graphql?query=subscription%7Bflood(size:100000)%7D HTTP/1.1\r\nHost: localhost\r\n"
            b"Accept: text/event-stream\r\n\r\n"
        )
        await edge.probe.wait_for_sources(1)
        before = -1
        while edge.probe.yielded > before:  # The sockets' buffers fill up, then nothing moves.
            before = edge.probe.yielded
            await asyncio.sleep(0.5)
        assert edge.probe.yielded < 500
        writer.transport.abort()
        await edge.probe.wait_for_sources(0)

    @pytest.mark.parametrize("accept", ["application/graphql-response+json, text/event-stream", "*/*"])
    async def test_query_that_may_be_json_is_json(self, client: httpx.AsyncClient, accept: str) -> None:
        response = await client.post("/graphql", json={"query": "{ hello }"}, headers={"accept": accept})
        assert response.json() == {"data": {"hello": "Hello, world"}}


class TestSingleConnectionMode:
    async def test_operations_of_every_type_share_one_stream(self, edge: Edge, client: httpx.AsyncClient) -> None:
        token = await reserve(client)
        async with opened(client, headers=token) as stream:
            for ident, query, results in (
                ("q", "{ hello }", [{"hello": "Hello, world"}]),
                ("m", 'mutation { store(content: "xy") }', [{"store": 2}]),
                ("s", "subscription { count(to: 2) }", [{"count": 0}, {"count": 1}]),
            ):
                response = await start(client, token, ident, query)
                assert (response.status_code, response.content) == (202, b"")
                for data in results:
                    assert await stream.read() == told(ident, data)
                assert await stream.read() == ("complete", {"id": ident})
            assert edge.running_operations == 0

    async def test_token_and_operation_travel_in_the_query_string_too(self, client: httpx.AsyncClient) -> None:
        params = {"token": (await reserve(client))[TOKEN]}
        async with opened(client, params=params) as stream:
            query = {"query": "{ hello }", "extensions": '{"operationId": "g"}'}
            response = await client.get("/graphql", params=params | query)
            assert response.status_code == 202
            assert await stream.read() == told("g", {"hello": "Hello, world"})

    async def test_operation_started_before_the_stream_opens_is_told_there(self, client: httpx.AsyncClient) -> None:
        token = await reserve(client)
        assert (await start(client, token, "s", "subscription { count(to: 1) }")).status_code == 202
        async with opened(client, headers=token) as stream:
            assert await stream.read() == told("s", {"count": 0})
            assert await stream.read() == ("complete", {"id": "s"})

    async def test_delete_stops_one_operation_and_frees_its_id(self, edge: Edge, client: httpx.AsyncClient) -> None:
        token = await reserve(client)
        async with opened(client, headers=token) as stream:
            for ident in ("a", "b"):
                await start(client, token, ident, "subscription { silence }")
            await edge.probe.wait_for_sources(2)
            for _ in range(2):  # A second time it is no error: the end may have crossed with it.
                response = await client.delete("/graphql", params={"operationId": "a"}, headers=token)
                assert (response.status_code, response.content) == (200, b"")
            assert edge.probe.open_sources == 1
            assert (await start(client, token, "a", "{ hello }")).status_code == 202
            assert await stream.read() == told("a", {"hello": "Hello, world"})
        await edge.probe.wait_for_sources(0)

    async def test_error_after_the_start_is_told_on_the_stream(self, client: httpx.AsyncClient) -> None:
        token = await reserve(client)
        async with opened(client, headers=token) as stream:
            for query, code in (
                ("subscription ($to: Int!) { count(to: $to) }", "BAD_USER_INPUT"),
                ("{ refused }", "BAD_USER_INPUT"),
                ("{ broken }", "INTERNAL"),
            ):
                assert (await start(client, token, "x", query)).status_code == 202
                event = await stream.read()
                assert event is not None
                assert event[1]["payload"]["errors"][0]["extensions"]["code"] == code
                assert await stream.read() == ("complete", {"id": "x"})

    async def test_stream_outlives_an_operation_that_is_refused(self, client: httpx.AsyncClient) -> None:
        token = await reserve(client)
        async with opened(client, headers=token) as stream:
            response = await start(client, token, "x", "{ nothing }")
            assert (response.status_code, code_of(response)) == (400, "GRAPHQL_VALIDATION_FAILED")
            await start(client, token, "x", "{ hello }")
            assert await stream.read() == told("x", {"hello": "Hello, world"})

    async def test_stream_opens_once_and_its_token_ends_with_it(self, edge: Edge, client: httpx.AsyncClient) -> None:
        token = await reserve(client)
        async with opened(client, headers=token):
            response = await client.get("/graphql", headers=EVENTS | token)
            assert (response.status_code, code_of(response)) == (409, "CONFLICT")
            response = await client.put("/graphql", headers=token)
            assert (response.status_code, code_of(response)) == (409, "CONFLICT")
        await edge.wait_until_empty()
        response = await client.get("/graphql", headers=EVENTS | token)
        assert (response.status_code, code_of(response)) == (404, "NOT_FOUND")

    async def test_running_id_is_409(self, client: httpx.AsyncClient) -> None:
        token = await reserve(client)
        async with opened(client, headers=token):
            await start(client, token, "a", "subscription { silence }")
            response = await start(client, token, "a", "{ hello }")
            assert (response.status_code, code_of(response)) == (409, "CONFLICT")

    @pytest.mark.parametrize(
        "extensions", [None, {}, {"operationId": 7}, {"operationId": ""}, {"operationId": "x" * 257}]
    )
    async def test_operation_without_an_id_is_400(self, client: httpx.AsyncClient, extensions: Any) -> None:
        token = await reserve(client)
        body = {"query": "{ hello }", "extensions": extensions}
        async with opened(client, headers=token):
            response = await client.post("/graphql", json=body, headers=token)
            assert (response.status_code, code_of(response)) == (400, "BAD_REQUEST")
            response = await client.delete("/graphql", headers=token)
            assert (response.status_code, code_of(response)) == (400, "BAD_REQUEST")

    @pytest.mark.parametrize("token", [{TOKEN: "nobody-has-reserved-this"}, {}])
    async def test_unknown_token_is_404(self, client: httpx.AsyncClient, token: dict[str, str]) -> None:
        responses = [await client.delete("/graphql", params={"operationId": "a"}, headers=token)]
        if token:
            responses.append(await client.get("/graphql", headers=EVENTS | token))
            responses.append(await start(client, token, "a", "{ hello }"))
        assert {(response.status_code, code_of(response)) for response in responses} == {(404, "NOT_FOUND")}

    async def test_mutation_by_get_is_405(self, client: httpx.AsyncClient) -> None:
        token = await reserve(client)
        params = {"query": 'mutation { store(content: "x") }', "extensions": '{"operationId": "m"}'}
        async with opened(client, headers=token):
            response = await client.get("/graphql", params=params, headers=token | {"accept": JSON})
            assert (response.status_code, response.headers["allow"]) == (405, "POST")

    async def test_wanted_token_is_given_once_and_only_if_it_is_sane(self, client: httpx.AsyncClient) -> None:
        wanted = {TOKEN: "0123456789abcdef0123456789abcdef"}
        assert (await client.put("/graphql", headers=wanted)).text == wanted[TOKEN]
        assert (await client.put("/graphql", headers=wanted)).status_code == 409
        async with opened(client, headers=wanted):
            assert (await client.put("/graphql", headers={TOKEN: "short"})).status_code == 400

    async def test_token_for_who_wants_json_is_406(self, client: httpx.AsyncClient) -> None:
        response = await client.put("/graphql", headers={"accept": JSON})
        assert (response.status_code, code_of(response)) == (406, "NOT_ACCEPTABLE")

    async def test_client_that_leaves_closes_every_source(self, edge: Edge, client: httpx.AsyncClient) -> None:
        token = await reserve(client)
        async with opened(client, headers=token):
            for number in range(5):
                await start(client, token, str(number), "subscription { silence }")
            await edge.probe.wait_for_sources(5)
        await edge.probe.wait_for_sources(0)
        await edge.wait_until_empty()
