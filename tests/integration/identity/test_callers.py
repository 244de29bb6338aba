"""Callers of a real gateway: who gets in over HTTP, WebSocket and event streams, and for how long."""

import asyncio
import os
import subprocess
import sys
import time
from datetime import timedelta

import httpx
import pytest

from core.clock import utc_now
from core.documents import ApiKey, Task
from core.settings import Settings
from tests.integration.identity.callers import FOLLOW, RESPONSE_JSON, ask, running_task, stored_key
from tests.integration.identity.conftest import Issuer, Serve, bearer
from tests.unit.identity.signing import OTHER_RSA_KEY, RSA_KEY, SECRET, pem, sign


@pytest.mark.parametrize("accept", [RESPONSE_JSON, "application/json", "text/event-stream"])
async def test_without_credentials_http_says_401_and_what_it_expects(serve: Serve, accept: str) -> None:
    edge = await serve()
    response = await ask(edge, accept=accept)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.headers["content-type"].startswith("application/json" if "stream" in accept else accept)
    body = response.json()
    assert "data" not in body
    assert body["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    "presented",
    [
        "Bearer nonsense",
        "Bearer hwk_0123456789ab_" + "x" * 43,
        f"Bearer {sign(SECRET, 'HS256', exp=int(time.time()) - 60)}",
        f"Bearer {sign(SECRET[::-1], 'HS256')}",
        f"Bearer {sign(RSA_KEY, 'RS256')}",
        "Basic YTpi",
    ],
)
async def test_credentials_that_are_not_good_are_refused_alike(serve: Serve, presented: str) -> None:
    edge = await serve()
    response = await ask(edge, {"authorization": presented})
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert presented.split()[1] not in response.text
    async with edge.connect() as client:
        await client.send(type="connection_init", payload={"Authorization": presented})
        code, reason = await client.read_close()
    assert code == 4403
    assert reason.startswith("Forbidden: ")
    assert presented.split()[1] not in reason


async def test_good_credentials_get_in_every_way(serve: Serve) -> None:
    edge = await serve()
    for headers in (bearer(), {"authorization": f"bearer {await stored_key()}"}):
        assert (await ask(edge, headers)).json() == {"data": {"__typename": "Query"}}
        (value,) = headers.values()
        for init, upgrade in (
            ({"Authorization": value}, {}),
            ({"authorization": value}, {"Authorization": "Bearer overruled"}),
            ({}, {"Authorization": value}),
            (None, {"Authorization": value}),
        ):
            async with edge.connect(additional_headers=upgrade) as client:
                await client.send(type="connection_init", payload=init)
                assert await client.read() == {"type": "connection_ack"}
                await client.subscribe("q", "{ __typename }")
                assert (await client.read())["payload"] == {"data": {"__typename": "Query"}}


async def test_pages_and_probes_stay_open_to_all(serve: Serve) -> None:
    edge = await serve()
    async with httpx.AsyncClient(trust_env=False, base_url=edge.url) as http:
        for path in ("/livez", "/readyz", "/health"):
            assert (await http.get(path)).status_code == 200


async def test_public_key_is_no_secret_on_the_wire_either(serve: Serve) -> None:
    edge = await serve(auth="jwt", jwt_secret=None, jwt_public_key=pem(RSA_KEY))
    assert (await ask(edge, {"authorization": f"Bearer {sign(RSA_KEY, 'RS256')}"})).status_code == 200
    assert (await ask(edge, {"authorization": f"Bearer {sign(OTHER_RSA_KEY, 'RS256')}"})).status_code == 401
    assert (await ask(edge, {"authorization": f"Bearer {await stored_key()}"})).status_code == 401


async def test_role_of_the_caller_holds_over_every_transport(serve: Serve) -> None:
    edge = await serve()
    forbidden = {"query": 'mutation { createItem(input: {name: "x"}) { id } }'}
    async with httpx.AsyncClient(trust_env=False) as http:
        response = await http.post(f"{edge.url}/graphql", json=forbidden, headers=bearer(role="viewer"))
    assert response.json()["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    async with edge.connect(additional_headers=bearer(role="viewer")) as client:
        await client.send(type="connection_init")
        await client.read()
        await client.subscribe("m", forbidden["query"])
        assert (await client.read())["payload"]["errors"][0]["extensions"]["code"] == "FORBIDDEN"
        await client.subscribe("s", FOLLOW, variables={"id": str((await running_task("bob")).id)})
        frame = (await client.read_until("error"))[-1]
        assert frame["payload"][0]["extensions"]["code"] == "NOT_FOUND"


def keys_command(settings: Settings, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run `headway keys` on the test's database."""
    environment = {**os.environ, "MONGO_URL": settings.mongo_url, "HEADWAY_MONGO_DATABASE": settings.mongo_database}
    command = [sys.executable, "-m", "cli", "keys", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


async def test_key_made_by_the_command_works_until_the_command_revokes_it(serve: Serve, settings: Settings) -> None:
    edge = await serve(auth="keys", jwt_secret=None)
    edge.app.state.replica.authenticator.keys.cache_s = 0.2
    made = await asyncio.to_thread(
        keys_command, settings, "create", "--name", "ci", "--owner", "alice", "--role", "viewer", "--days", "7"
    )
    assert made.returncode == 0, made.stderr
    text = made.stdout.strip()
    ident = "_".join(text.split("_")[:2])
    headers = {"authorization": f"Bearer {text}"}
    assert (await ask(edge, headers)).status_code == 200
    stored = await ApiKey.get(ident)
    assert stored is not None
    assert text.encode() not in stored.digest

    listed = await asyncio.to_thread(keys_command, settings, "list")
    assert ident in listed.stdout
    assert "works" in listed.stdout
    assert text not in listed.stdout

    task = await running_task()
    async with edge.connect(additional_headers=headers) as client:
        await client.send(type="connection_init")
        await client.read()
        await client.subscribe("s", FOLLOW, variables={"id": str(task.id)})
        assert (await client.read())["type"] == "next"
        revoked = await asyncio.to_thread(keys_command, settings, "revoke", ident)
        assert revoked.returncode == 0, revoked.stderr
        (error,) = (await client.read_until("error"))[-1]["payload"]
        assert error["extensions"]["code"] == "UNAUTHENTICATED"
        assert (await client.read_close())[0] == 4403
    assert (await ask(edge, headers)).status_code == 401
    assert "revoked" in (await asyncio.to_thread(keys_command, settings, "list")).stdout
    assert (await asyncio.to_thread(keys_command, settings, "revoke", "hwk_000000000000")).returncode == 1


async def test_expired_and_revoked_keys_are_refused(serve: Serve) -> None:
    edge = await serve()
    past = utc_now() - timedelta(seconds=1)
    for field in ("expires_at", "revoked_at"):
        text = await stored_key(fields={field: past})
        assert (await ask(edge, {"authorization": f"Bearer {text}"})).status_code == 401
    text = await stored_key()
    changed = text[:-1] + ("A" if text[-1] != "A" else "B")
    assert (await ask(edge, {"authorization": f"Bearer {changed}"})).status_code == 401


async def test_many_callers_of_one_key_share_its_reads(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    edge = await serve()
    text = await stored_key()
    ring = edge.app.state.replica.authenticator.keys
    reads: list[str] = []
    submit = ring._reads.submit

    async def counted(key_id: str) -> ApiKey | None:
        reads.append(key_id)
        found: ApiKey | None = await submit(key_id)
        return found

    monkeypatch.setattr(ring._reads, "submit", counted)
    for _ in range(5):
        await ring.authenticate(text)
    assert len(reads) == 1


async def test_budget_of_a_minute_is_shared_by_an_owner_s_callers_and_says_when_to_come_again(serve: Serve) -> None:
    edge = await serve(cost_per_minute=140)  # The first one that reads the document pays 50 for it.
    query = {"query": "{ items(first: 10) { nodes { id } } }"}
    answers: list[httpx.Response] = []
    async with httpx.AsyncClient(trust_env=False) as http:
        while not answers or answers[-1].status_code == 200:
            answers.append(await http.post(f"{edge.url}/graphql", json=query, headers=bearer()))
            assert len(answers) < 50
        refused = answers[-1]
        assert len(answers) > 1
        assert refused.status_code == 429
        error = refused.json()["errors"][0]
        assert error["extensions"]["code"] == "RATE_LIMITED"
        assert 1 <= error["extensions"]["retryAfter"] <= 60
        assert refused.headers["retry-after"] == str(error["extensions"]["retryAfter"])
        other = await http.post(f"{edge.url}/graphql", json=query, headers=bearer("bob"))
        assert other.status_code == 200
    async with edge.connect(additional_headers=bearer()) as client:
        await client.send(type="connection_init")
        await client.read()
        await client.subscribe("q", query["query"])
        frame = await client.read()
    assert (frame["type"], frame["payload"][0]["extensions"]["code"]) == ("error", "RATE_LIMITED")


async def test_command_line_presents_what_the_environment_holds(serve: Serve) -> None:
    edge = await serve()
    command = [sys.executable, "-m", "cli", "submit", "processData", "--input", '{"data": "x"}', "--url", edge.url]

    def submit(**variables: str) -> "subprocess.CompletedProcess[str]":
        environment = {**os.environ, **variables}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    refused = await asyncio.to_thread(submit)
    assert (refused.returncode, "UNAUTHENTICATED" in refused.stderr) == (1, True)
    taken = await asyncio.to_thread(submit, HEADWAY_TOKEN=await stored_key())
    assert taken.returncode == 0, taken.stderr
    stored = await Task.find_one({"owner": "alice"})
    assert stored is not None
    assert str(stored.id) == taken.stdout.strip()


async def test_tokens_of_an_issuer_that_rotates_its_keys_get_in(serve: Serve, issuer: Issuer) -> None:
    issuer.keys = {"first": RSA_KEY}
    edge = await serve(auth="jwt", jwt_secret=None, jwt_jwks_url=issuer.url)
    edge.app.state.replica.authenticator.tokens.keys._cooldown_s = 0
    assert (await ask(edge, {"authorization": f"Bearer {sign(RSA_KEY, 'RS256', 'first')}"})).status_code == 200
    issuer.keys = {"second": OTHER_RSA_KEY}
    assert (await ask(edge, {"authorization": f"Bearer {sign(OTHER_RSA_KEY, 'RS256', 'second')}"})).status_code == 200
    assert (await ask(edge, {"authorization": f"Bearer {sign(RSA_KEY, 'RS256', 'first')}"})).status_code == 401
    assert (await ask(edge, {"authorization": f"Bearer {sign(SECRET, 'HS256')}"})).status_code == 401


async def test_issuer_that_was_never_reached_is_an_outage_and_not_the_caller_s_fault(
    serve: Serve, issuer: Issuer
) -> None:
    issuer.status = 500
    edge = await serve(auth="jwt", jwt_secret=None, jwt_jwks_url=issuer.url)
    headers = {"authorization": f"Bearer {sign(RSA_KEY, 'RS256', 'k')}"}
    response = await ask(edge, headers)
    assert (response.status_code, response.json()["errors"][0]["extensions"]["code"]) == (503, "UNAVAILABLE")
    async with edge.connect(additional_headers=headers) as client:
        await client.send(type="connection_init")
        assert (await client.read_close())[0] == 1013
