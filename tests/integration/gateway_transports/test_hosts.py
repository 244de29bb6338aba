"""A live gateway that is asked under names of its own and of others: what DNS rebinding would look like."""

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from core.settings import Settings
from gateway.transports.limits import EdgeLimits
from tests.integration.gateway_transports.edge import Edge, running_edge

QUERY = {"query": "{ __typename }"}


async def ask(edge: Edge, host: str, path: str = "/graphql", method: str = "POST") -> httpx.Response:
    async with httpx.AsyncClient(base_url=edge.url, trust_env=False) as http:
        body = QUERY if method == "POST" else None
        return await http.request(method, path, json=body, headers={"host": host})


@pytest.mark.parametrize("path", ["/graphql", "/imports/content", "/", "/ui/"])
async def test_request_for_another_name_is_refused_and_told_how_to_allow_it(edge: Edge, path: str) -> None:
    answer = await ask(edge, f"evil.example:{edge.port}", path, "POST" if path[1:2] in ("g", "i") else "GET")
    assert answer.status_code == 421
    error = answer.json()["errors"][0]
    assert error["extensions"]["code"] == "MISDIRECTED_REQUEST"
    assert "HEADWAY_ALLOWED_HOSTS" in error["message"]


async def test_socket_for_another_name_is_refused(edge: Edge) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with edge.connect(additional_headers={"Host": f"evil.example:{edge.port}"}):
            pass
    assert refused.value.response.status_code == 421
    assert len(edge.app.state.sockets) == 0


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "10.244.0.17", "[::1]"])
async def test_loopback_names_and_addresses_are_served(edge: Edge, host: str) -> None:
    assert (await ask(edge, f"{host}:{edge.port}")).json() == {"data": {"__typename": "Query"}}


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/health", "/metrics"])
async def test_probes_are_answered_whatever_the_name(edge: Edge, path: str) -> None:
    assert (await ask(edge, "gateway-7f9c.headway.svc", path, "GET")).status_code != 421


@pytest.mark.parametrize("host", ["headway.example", "box"])
async def test_names_that_the_operator_gave_are_served(host: str) -> None:
    async with running_edge(EdgeLimits(allowed_hosts=("headway.example",)), Settings(host="box")) as edge:
        assert (await ask(edge, host)).status_code == 200
        assert (await ask(edge, "evil.example")).status_code == 421


async def test_operator_may_let_every_name_in() -> None:
    async with running_edge(EdgeLimits(allowed_hosts=("*",)), Settings()) as edge:
        assert (await ask(edge, "any.example")).status_code == 200


async def test_page_of_another_port_may_open_no_socket(edge: Edge) -> None:
    async with edge.connect(origin=f"http://127.0.0.1:{edge.port + 1}") as client:
        assert await client.read_close() == (4403, "Forbidden")
