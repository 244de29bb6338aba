"""Tokens of every shape that an attacker may think of: each is refused, and none looks like a bug of ours."""

import base64
import hashlib
import hmac
import json
import string
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from core.errors import Unauthenticated
from gateway.identity.authentication import Authenticator
from gateway.identity.jwks import RemoteKeys, read_keys
from gateway.identity.principals import Principal
from gateway.identity.tokens import FixedKey, KeySource, TokenVerifier
from tests.unit.identity.signing import AUDIENCE, EC_KEYS, ISSUER, RSA_KEY, SECRET, claims

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
HEADER_NAMES = ["alg", "kid", "typ", "cty", "crit", "b64", "jwk", "jku", "x5u", "x5c", "zip", "enc"]
CLAIM_NAMES = ["iss", "aud", "sub", "exp", "iat", "nbf", "jti", "role", "realm_access"]
HEADERS = st.dictionaries(st.sampled_from(HEADER_NAMES), JSON, max_size=5)
CLAIMS = st.dictionaries(st.sampled_from(CLAIM_NAMES), JSON, max_size=5)
SHAPES = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class KnownKeys(RemoteKeys):
    """An issuer's keys that were read before and are not asked for again."""

    async def _refresh(self) -> None:
        self._fetched_at = 0.0
        self._keys = {"rsa": [RSA_KEY.public_key()], "ec": [EC_KEYS["ES256"].public_key()]}


def verifiers() -> list[Authenticator]:
    """Return one for each way in which keys are known."""
    ways: list[tuple[KeySource, tuple[str, ...]]] = [
        (FixedKey(SECRET, is_secret=True), ("HS256",)),
        (FixedKey(RSA_KEY.public_key(), is_secret=False), ("RS256", "ES256")),
        (KnownKeys("https://issuer.example/keys"), ("RS256", "ES256")),
    ]
    return [
        Authenticator(None, TokenVerifier(source, algorithms, ISSUER, AUDIENCE, 10.0, "realm_access.roles"))
        for source, algorithms in ways
    ]


VERIFIERS = verifiers()
EC_JWK = ECAlgorithm.to_jwk(EC_KEYS["ES256"].public_key(), as_dict=True)


def part(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")


def signed(header: Any, body: Any, secret: bytes) -> str:
    """Return a token with these parts, signed by HMAC whatever its header says."""
    text = b".".join(part(json.dumps(one).encode()) for one in (header, body))
    return (text + b"." + part(hmac.new(secret, text, hashlib.sha256).digest())).decode()


async def outcome(authenticator: Authenticator, token: str) -> Principal | None:
    """Return who is let in, None if nobody; any other error is a bug."""
    try:
        return await authenticator.authenticate(f"Bearer {token}")
    except Unauthenticated as exc:
        return Principal("leaked") if len(token) >= 20 and token in str(exc) else None


@SHAPES
@given(header=HEADERS, changes=CLAIMS)
async def test_header_of_any_shape_is_refused_unless_it_is_a_good_one(header: Any, changes: Any) -> None:
    for authenticator in VERIFIERS:
        for algorithm in ({}, {"alg": "HS256"}, {"alg": "RS256"}, {"alg": "ES256"}):
            assert await outcome(authenticator, signed({**header, **algorithm}, changes, b"guessed")) is None


@SHAPES
@given(changes=CLAIMS, body=JSON)
async def test_claims_of_any_shape_let_in_a_name_and_a_role_or_nobody(changes: Any, body: Any) -> None:
    header = {"alg": "HS256", "typ": "JWT"}
    good = {**claims(), "realm_access": {"roles": ["viewer"]}}
    for payload in ({**good, **changes}, body):
        principal = await outcome(VERIFIERS[0], signed(header, payload, SECRET.encode()))
        if principal is not None:
            assert principal.owner == payload["sub"]
            assert 0 < len(principal.owner.strip()) <= len(principal.owner) <= 200
    assert await outcome(VERIFIERS[0], signed(header, good, SECRET.encode())) is not None


@SHAPES
@given(
    st.text(string.printable, max_size=200)
    | st.text(max_size=60)
    | st.lists(st.binary(max_size=40).map(lambda one: part(one).decode()), max_size=5).map(".".join)
)
async def test_text_of_any_kind_is_refused(token: str) -> None:
    for authenticator in VERIFIERS:
        assert await outcome(authenticator, token) is None


@pytest.mark.parametrize("kid", [[], {}, ["rsa"], {"kid": "rsa"}, 1, 1.5, True, "", "x" * 5_000, "\ud800", "../rsa"])
@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
async def test_key_id_that_is_no_text_or_unknown_is_refused(kid: Any, algorithm: str) -> None:
    token = signed({"alg": algorithm, "kid": kid}, claims(), b"guessed")
    assert await outcome(VERIFIERS[2], token) is None


GOOD_KEY = {**RSAAlgorithm.to_jwk(RSA_KEY.public_key(), as_dict=True), "kid": "good"}
KEY_CHANGES = st.dictionaries(
    st.sampled_from(["kty", "kid", "use", "alg", "n", "e", "crv", "x", "y", "d", "key_ops"]), JSON, max_size=4
)


@SHAPES
@given(changes=KEY_CHANGES, base=st.sampled_from([GOOD_KEY, EC_JWK, {}]), other=JSON)
def test_published_key_of_any_shape_spoils_no_other(changes: Any, base: Any, other: Any) -> None:
    found = read_keys(json.dumps({"keys": [{**base, **changes}, other, GOOD_KEY]}).encode())
    assert found["good"]
    assert all(name is None or isinstance(name, str) for name in found)


@pytest.mark.parametrize("kid", [[], {}, ["rsa"], 7, True])
def test_published_key_whose_id_is_no_text_is_left_out(kid: Any) -> None:
    found = read_keys(json.dumps({"keys": [{**GOOD_KEY, "kid": kid}, GOOD_KEY]}).encode())
    assert list(found) == ["good"]
    assert len(found["good"]) == 1
