"""Every way in which a token is not good, and that none of them is a bug of ours."""

import base64
import time
from dataclasses import replace
from typing import Any

import pytest

from core.documents import Role
from core.errors import Unauthenticated
from gateway.identity.principals import Principal
from gateway.identity.tokens import FixedKey, TokenVerifier
from tests.unit.identity.signing import (
    AUDIENCE,
    EC_KEYS,
    ISSUER,
    OTHER_RSA_KEY,
    RSA_KEY,
    SECRET,
    SMALL_RSA_KEY,
    PrivateKey,
    claims,
    forge,
    pem,
    sign,
)

ALL_PUBLIC = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512")


def with_secret(*algorithms: str, **changes: Any) -> TokenVerifier:
    """Return what verifies tokens by the shared secret."""
    verifier = TokenVerifier(FixedKey(SECRET, is_secret=True), algorithms, ISSUER, AUDIENCE, 10.0, "role")
    return replace(verifier, **changes)


def with_key(key: PrivateKey, *algorithms: str) -> TokenVerifier:
    """Return what verifies tokens by one public key."""
    public = FixedKey(key.public_key(), is_secret=False)
    return TokenVerifier(public, algorithms or ALL_PUBLIC, ISSUER, AUDIENCE, 10.0, "role")


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
async def test_token_signed_with_the_secret_names_its_owner(algorithm: str) -> None:
    expires = int(time.time()) + 60
    principal = await with_secret(algorithm).authenticate(sign(SECRET, algorithm, exp=expires))
    assert principal == Principal("alice", Role.OPERATOR, expires + 10.0)


@pytest.mark.parametrize("algorithm", ALL_PUBLIC)
async def test_token_signed_with_a_private_key_names_its_owner(algorithm: str) -> None:
    key: PrivateKey = EC_KEYS.get(algorithm, RSA_KEY)
    assert (await with_key(key).authenticate(sign(key, algorithm))).owner == "alice"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"exp": int(time.time()) - 60}, "has expired"),
        ({"exp": None}, "not valid"),
        ({"exp": "soon"}, "not valid"),
        ({"exp": 1e400}, "not valid"),
        ({"iss": "https://evil.example"}, "issuer or audience"),
        ({"iss": None}, "not valid"),
        ({"aud": "other"}, "issuer or audience"),
        ({"aud": ["other", "another"]}, "issuer or audience"),
        ({"aud": None}, "not valid"),
        ({"sub": None}, "not valid"),
        ({"sub": " "}, "`sub`"),
        ({"sub": "x" * 201}, "`sub`"),
        ({"role": None}, "no role"),
        ({"role": "root"}, "no role"),
        ({"role": {"admin": True}}, "no role"),
        ({"role": [["admin"]]}, "no role"),
    ],
)
async def test_wrong_claim_is_refused(changes: dict[str, Any], message: str) -> None:
    body = claims(**changes)
    with pytest.raises(Unauthenticated, match=message):
        await with_secret("HS256").authenticate(forge({"alg": "HS256", "typ": "JWT"}, body, SECRET.encode()))


@pytest.mark.parametrize("claim", ["nbf", "iat"])
async def test_token_of_a_later_minute_is_refused(claim: str) -> None:
    body = claims(**{claim: int(time.time()) + 60})
    with pytest.raises(Unauthenticated, match="not valid"):
        await with_secret("HS256").authenticate(forge({"alg": "HS256", "typ": "JWT"}, body, SECRET.encode()))


async def test_leeway_forgives_a_clock_that_is_off_and_no_more() -> None:
    now = int(time.time())
    assert (await with_secret("HS256").authenticate(sign(SECRET, "HS256", exp=now - 5))).owner == "alice"
    with pytest.raises(Unauthenticated, match="expired"):
        await with_secret("HS256").authenticate(sign(SECRET, "HS256", exp=now - 12))


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "", None, 7, ["HS256"], {"a": 1}])
@pytest.mark.parametrize("secret", [None, b"", SECRET.encode()])
async def test_unsigned_token_is_refused(algorithm: Any, secret: bytes | None) -> None:
    token = forge({"alg": algorithm, "typ": "JWT"}, claims(role="admin"), secret)
    for verifier in (with_secret("HS256"), with_key(RSA_KEY)):
        with pytest.raises(Unauthenticated):
            await verifier.authenticate(token)


async def test_public_key_is_no_shared_secret() -> None:
    for secret in (pem(RSA_KEY), pem(RSA_KEY).strip()):
        token = forge({"alg": "HS256", "typ": "JWT"}, claims(role="admin"), secret.encode())
        for algorithms in (("RS256",), ("HS256", "RS256")):
            with pytest.raises(Unauthenticated, match="algorithm"):
                await with_key(RSA_KEY, *algorithms).authenticate(token)


async def test_algorithm_that_is_not_configured_is_refused() -> None:
    with pytest.raises(Unauthenticated, match="not taken here"):
        await with_secret("HS256").authenticate(sign(SECRET, "HS512"))
    with pytest.raises(Unauthenticated, match="not taken here"):
        await with_key(RSA_KEY, "RS256").authenticate(sign(RSA_KEY, "RS512"))


async def test_key_of_another_type_is_refused() -> None:
    with pytest.raises(Unauthenticated, match="does not fit"):
        await with_key(RSA_KEY).authenticate(sign(EC_KEYS["ES256"], "ES256"))
    with pytest.raises(Unauthenticated, match="does not fit"):
        await with_key(EC_KEYS["ES384"]).authenticate(sign(EC_KEYS["ES256"], "ES256"))
    with pytest.raises(Unauthenticated, match="does not fit"), pytest.warns(Warning, match="RSA key"):
        await with_key(SMALL_RSA_KEY).authenticate(sign(SMALL_RSA_KEY, "RS256"))


async def test_signature_of_another_key_is_refused() -> None:
    good = sign(RSA_KEY, "RS256")
    with pytest.raises(Unauthenticated, match="not valid"):
        await with_key(RSA_KEY).authenticate(sign(OTHER_RSA_KEY, "RS256"))
    with pytest.raises(Unauthenticated, match="not valid"):
        await with_key(RSA_KEY).authenticate(good.rpartition(".")[0] + "." + good.rpartition(".")[2][::-1])


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "..",
        "a.b.c",
        "é.é.é",
        base64.urlsafe_b64encode(b"[" * 5_000).decode() + ".e30.",
        base64.urlsafe_b64encode(b'{"alg":"HS256","x":' + b"[" * 4_000).decode() + ".e30.",
        base64.urlsafe_b64encode(b'{"alg":"HS256","kid":7}').decode() + ".e30.",
        base64.urlsafe_b64encode(b'{"alg":"HS256","crit":["b64"],"b64":false}').decode() + ".e30.",
        base64.urlsafe_b64encode(b'"HS256"').decode() + ".e30.",
        base64.urlsafe_b64encode(b"\xff\xfe").decode() + ".e30.",
    ],
)
async def test_what_is_no_token_is_refused_like_one_that_is_not_good(token: str) -> None:
    for verifier in (with_secret("HS256"), with_key(RSA_KEY)):
        with pytest.raises(Unauthenticated) as refused:
            await verifier.authenticate(token)
        assert token[:20] not in str(refused.value) or len(token) < 5


@pytest.mark.parametrize(
    ("path", "value", "role"),
    [
        ("role", "admin", Role.ADMIN),
        ("role", ["viewer", "operator", "unknown"], Role.OPERATOR),
        ("https://headway.example/role", "viewer", Role.VIEWER),
    ],
)
async def test_role_claim_may_be_a_role_or_hold_several(path: str, value: Any, role: Role) -> None:
    token = sign(SECRET, "HS256", **{"role": None, path: value})
    assert (await with_secret("HS256", role_claim=path).authenticate(token)).role is role


async def test_role_claim_may_lie_deeper() -> None:
    token = sign(SECRET, "HS256", role=None, realm_access={"roles": ["offline_access", "admin"]})
    verifier = with_secret("HS256", role_claim="realm_access.roles")
    assert (await verifier.authenticate(token)).role is Role.ADMIN


async def test_default_role_is_for_tokens_without_one() -> None:
    verifier = with_secret("HS256", default_role=Role.VIEWER)
    assert (await verifier.authenticate(sign(SECRET, "HS256", role=None))).role is Role.VIEWER
