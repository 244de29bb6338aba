"""Attacks by those who are not let in: tokens of every wrong kind, in floods, while the probe's own is good."""

import secrets
from asyncio import TaskGroup
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import orjson
import pytest

from core.settings import Settings
from tests.attacks.attackers import Raw, connected, handshake
from tests.attacks.target import FULL, Target, attacked, running_target
from tests.integration.identity.conftest import Issuer, running_issuer
from tests.unit.identity.signing import AUDIENCE, ISSUER, OTHER_RSA_KEY, RSA_KEY, claims, forge, pem, sign

FLOOD = 5_000 if FULL else 1_000
LONG = 86_400
ALGORITHMS: list[Any] = ["none", "nOnE", "", "HS256", "HS512", "RS256", "PS256", "EdDSA", None, 1, ["RS256"], {}]
KEY_IDS: list[Any] = ["good", "", None, ["good"], {"kid": "good"}, "../../etc/passwd", "good\x00", 7]
QUERY = b'{"query":"{ __typename }"}'


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    """Who signs the probe's token."""
    with running_issuer() as issuer:
        issuer.keys = {"good": RSA_KEY}
        yield issuer


@pytest.fixture(autouse=True)
def probe_is_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the probe a token that holds for the whole run."""
    token = sign(RSA_KEY, "RS256", kid="good", exp=claims()["exp"] + LONG)
    monkeypatch.setenv("PROBE_AUTHORIZATION", f"Bearer {token}")


@pytest.fixture(scope="module")
def guarded(
    mongo_url: str,
    redis_url: str,
    amqp_url: str,
    tmp_path_factory: pytest.TempPathFactory,
    issuer: Issuer,
) -> Iterator[Target]:
    """A gateway that takes keys, and tokens of an issuer."""
    name = f"t{secrets.token_hex(6)}"
    settings = Settings(
        mongo_url=mongo_url, redis_url=redis_url, amqp_url=amqp_url, mongo_database=name, namespace=name
    )
    changes = {
        "HEADWAY_AUTH": "keys,jwt",
        "HEADWAY_JWT_JWKS_URL": issuer.url,
        "HEADWAY_JWT_ISSUER": ISSUER,
        "HEADWAY_JWT_AUDIENCE": AUDIENCE,
        "HEADWAY_COST_PER_MINUTE": "0",
    }
    with running_target(settings, tmp_path_factory.mktemp("guarded"), **changes) as target:
        yield target


async def present(target: Target, credentials: Sequence[str]) -> Counter[int]:
    """Ask with each of them, 20 at a time; return how often each status came."""
    statuses: Counter[int] = Counter()
    limits = httpx.Limits(max_connections=20)
    async with httpx.AsyncClient(base_url=target.url, timeout=30, trust_env=False, limits=limits) as http:

        async def ask(credential: str) -> None:
            headers = {"content-type": "application/json", "authorization": f"Bearer {credential}"}
            statuses[(await http.post("/graphql", content=QUERY, headers=headers)).status_code] += 1

        for begin in range(0, len(credentials), 200):
            async with TaskGroup() as tasks:
                for credential in credentials[begin : begin + 200]:
                    tasks.create_task(ask(credential))
    target.statuses += statuses.elements()
    return statuses


async def test_flood_of_unknown_key_ids_asks_the_issuer_hardly_ever(guarded: Target, issuer: Issuer) -> None:
    async with attacked(guarded):
        asked = issuer.asked
        tokens = [sign(OTHER_RSA_KEY, "RS256", kid=secrets.token_hex(8)) for _ in range(FLOOD // 5)]
        assert await present(guarded, tokens) == {401: len(tokens)}
        assert issuer.asked - asked <= 10


async def test_flood_of_api_keys_that_nobody_made_stalls_nobody(guarded: Target) -> None:
    async with attacked(guarded):
        keys = [f"hwk_{secrets.token_hex(6)}_{secrets.token_urlsafe(32)}" for _ in range(FLOOD)]
        assert await present(guarded, keys) == {401: FLOOD}


async def test_huge_tokens_are_refused_before_they_are_read(guarded: Target) -> None:
    async with attacked(guarded):
        deep = {"alg": "RS256", "kid": "good", "x": "[" * 3_000}
        tokens = ["x" * 8_000, "." * 8_000, "a." * 4_000, forge(deep, {}, b"x"), "x" * 9_000, "x" * 60_000]
        statuses = await present(guarded, tokens * 50)
        assert statuses == {401: len(tokens) * 50}
        assert (await present(guarded, ["x" * 100_000] * 50)).keys() <= {401, 431}


async def test_tokens_that_choose_their_algorithm_are_refused(guarded: Target) -> None:
    public = pem(RSA_KEY).encode()
    async with attacked(guarded):
        tokens = [
            forge({"alg": alg, "kid": kid}, claims(role="admin"), secret)
            for alg in ALGORITHMS
            for kid in KEY_IDS
            for secret in (None, b"", public)
        ]
        assert await present(guarded, tokens) == {401: len(tokens)}


async def test_sockets_of_those_who_are_not_let_in_are_closed(guarded: Target) -> None:
    async with attacked(guarded):
        tokens: list[Any] = ["x" * 9_000, forge({"alg": "none"}, claims(), None), "hwk_0", 7, None, [], {"a": 1}]
        for token in tokens * 20:
            async with connected(guarded) as raw:
                assert await initialise(raw, token) == 4403


async def initialise(raw: Raw, token: object) -> int:
    """Open a WebSocket and present a token; return the code it is closed with."""
    raw.send(handshake())
    assert await raw.read_status() == 101
    presented = f"Bearer {token}" if isinstance(token, str) else token
    raw.frame(orjson.dumps({"type": "connection_init", "payload": {"Authorization": presented}}).decode())
    return await raw.read_close()
