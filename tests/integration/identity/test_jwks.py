"""The issuer's keys over real HTTP: rotation, ids nobody knows, and an issuer that does not answer."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from core.errors import Unauthenticated, Unavailable
from gateway.identity.jwks import MAX_BYTES, RemoteKeys
from gateway.identity.tokens import TokenVerifier
from tests.integration.identity.conftest import Issuer
from tests.unit.identity.signing import AUDIENCE, EC_KEYS, ISSUER, OTHER_RSA_KEY, RSA_KEY, sign

ALGORITHMS = ("RS256", "ES256")


def verifier(keys: RemoteKeys) -> TokenVerifier:
    """Return what verifies tokens by these keys."""
    return TokenVerifier(keys, ALGORITHMS, ISSUER, AUDIENCE, 10.0, "role")


@pytest.fixture
async def remote(issuer: Issuer) -> AsyncIterator[RemoteKeys]:
    """The issuer's keys, with no wait between fetches that a key id asks for."""
    keys = RemoteKeys(issuer.url, cooldown_s=0)
    yield keys
    await keys.aclose()


async def test_keys_are_fetched_once_for_many_tokens_of_several_types(issuer: Issuer, remote: RemoteKeys) -> None:
    issuer.keys = {"r": RSA_KEY, "e": EC_KEYS["ES256"]}
    tokens = [sign(RSA_KEY, "RS256", "r"), sign(EC_KEYS["ES256"], "ES256", "e")] * 10
    principals = await asyncio.gather(*(verifier(remote).authenticate(token) for token in tokens))
    assert {principal.owner for principal in principals} == {"alice"}
    assert issuer.asked == 1


async def test_rotated_key_is_found_and_the_old_one_no_longer_taken(issuer: Issuer, remote: RemoteKeys) -> None:
    issuer.keys = {"old": RSA_KEY}
    await verifier(remote).authenticate(sign(RSA_KEY, "RS256", "old"))
    issuer.keys = {"new": OTHER_RSA_KEY}
    await verifier(remote).authenticate(sign(OTHER_RSA_KEY, "RS256", "new"))
    with pytest.raises(Unauthenticated, match="does not publish"):
        await verifier(remote).authenticate(sign(RSA_KEY, "RS256", "old"))


async def test_key_of_the_right_id_must_be_the_one_that_signed(issuer: Issuer, remote: RemoteKeys) -> None:
    issuer.keys = {"k": RSA_KEY}
    with pytest.raises(Unauthenticated, match="not valid"):
        await verifier(remote).authenticate(sign(OTHER_RSA_KEY, "RS256", "k"))
    with pytest.raises(Unauthenticated, match="does not publish"):
        await verifier(remote).authenticate(sign(EC_KEYS["ES256"], "ES256", "k"))


async def test_unknown_id_asks_the_issuer_once_in_a_while(issuer: Issuer) -> None:
    issuer.keys = {"k": RSA_KEY}
    keys = RemoteKeys(issuer.url)
    for number in range(20):
        with pytest.raises(Unauthenticated, match="does not publish"):
            await verifier(keys).authenticate(sign(RSA_KEY, "RS256", f"unknown {number}"))
    assert issuer.asked == 1
    await keys.aclose()


async def test_token_without_an_id_is_taken_where_one_key_fits(issuer: Issuer, remote: RemoteKeys) -> None:
    issuer.keys = {"r": RSA_KEY, "e": EC_KEYS["ES256"]}
    await verifier(remote).authenticate(sign(RSA_KEY, "RS256"))
    issuer.keys["s"] = OTHER_RSA_KEY
    with pytest.raises(Unauthenticated):
        await verifier(remote).authenticate(sign(RSA_KEY, "RS256", "unknown"))
    with pytest.raises(Unauthenticated, match="does not publish"):
        await verifier(remote).authenticate(sign(RSA_KEY, "RS256"))


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (503, b"{}"),
        (302, b"{}"),
        (200, b"<html>"),
        (200, b"[]"),
        (200, b'{"keys": 7}'),
        (200, b'{"keys": []}'),
        (200, b'{"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "k"}, {"kty": "RSA", "kid": "k"}, 7]}'),
        (200, b"[" * 100_000),
        (200, b" " * (MAX_BYTES + 1)),
    ],
)
async def test_broken_issuer_is_unavailable_first_and_later_its_known_keys_stay(
    issuer: Issuer, status: int, body: bytes
) -> None:
    issuer.keys = {"k": RSA_KEY}
    token = sign(RSA_KEY, "RS256", "k")
    issuer.status, issuer.body = status, body
    keys = RemoteKeys(issuer.url, lifespan_s=0, cooldown_s=0)
    with pytest.raises(Unavailable):
        await verifier(keys).authenticate(token)
    issuer.status, issuer.body = 200, None
    await verifier(keys).authenticate(token)
    issuer.status, issuer.body = status, body
    asked = issuer.asked
    await verifier(keys).authenticate(token)
    assert issuer.asked > asked
    await keys.aclose()


async def test_issuer_that_hangs_stops_nobody_else(issuer: Issuer) -> None:
    issuer.keys = {"k": RSA_KEY}
    issuer.hold.clear()
    keys = RemoteKeys(issuer.url, cooldown_s=0)
    first = asyncio.create_task(verifier(keys).authenticate(sign(RSA_KEY, "RS256", "k")))
    while not issuer.asked:  # noqa: ASYNC110  # The server is a thread of its own.
        await asyncio.sleep(0.01)
    given_up = asyncio.create_task(verifier(keys).authenticate(sign(RSA_KEY, "RS256", "k")))
    await asyncio.sleep(0)
    given_up.cancel()
    issuer.hold.set()
    assert (await first).owner == "alice"
    assert issuer.asked == 1
    await keys.aclose()


async def test_closing_ends_a_fetch_under_way(issuer: Issuer) -> None:
    issuer.hold.clear()
    keys = RemoteKeys(issuer.url)
    asking = asyncio.create_task(verifier(keys).authenticate(sign(RSA_KEY, "RS256", "k")))
    while not issuer.asked:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    await keys.aclose()
    with pytest.raises(asyncio.CancelledError):
        await asking
