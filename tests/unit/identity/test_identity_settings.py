"""What is refused at start, in words that repeat no value."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.identity.settings import COST_PER_MINUTE, IdentitySettings
from tests.unit.identity.signing import EC_KEYS, RSA_KEY, SECRET, SMALL_RSA_KEY, pem

NAMES = {"jwt_issuer": "https://issuer.example", "jwt_audience": "headway"}


def settings(**values: Any) -> IdentitySettings:
    """Return settings of given values."""
    return IdentitySettings(**values)


def test_authentication_is_off_by_default_and_costs_are_not_counted() -> None:
    found = settings()
    assert (found.is_off, found.takes_keys, found.takes_tokens, found.budget) == (True, False, False, 0)
    assert settings(cost_per_minute=7).budget == 7


@pytest.mark.parametrize("auth", ["keys", "jwt", "keys,jwt", "jwt, keys"])
def test_modes_stand_alone_or_together(auth: str) -> None:
    found = settings(auth=auth, jwt_secret=SECRET, **NAMES)
    assert (found.takes_keys, found.takes_tokens) == ("keys" in auth, "jwt" in auth)
    assert found.budget == COST_PER_MINUTE
    assert settings(auth="keys", cost_per_minute=0).budget == 0


def test_environment_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_text(pem(EC_KEYS["ES256"]))
    for name, value in {
        "AUTH": "jwt",
        "JWT_PUBLIC_KEY": str(file),
        "JWT_ALGORITHMS": "ES256, ES384",
        "JWT_ISSUER": "i",
        "JWT_AUDIENCE": "a",
        "JWT_SECRET": "",
    }.items():
        monkeypatch.setenv(f"HEADWAY_{name}", value)
    found = settings()
    assert found.algorithms == ("ES256", "ES384")
    assert found.public_key is not None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"auth": "on"}, "expected off, keys, jwt"),
        ({"auth": "off,keys"}, "expected off, keys, jwt"),
        ({"auth": ""}, "expected off, keys, jwt"),
        ({"auth": "jwt", **NAMES}, "exactly one of"),
        ({"auth": "jwt", "jwt_secret": SECRET, "jwt_public_key": pem(RSA_KEY), **NAMES}, "exactly one of"),
        ({"auth": "jwt", "jwt_secret": SECRET}, "JWT_ISSUER"),
        ({"auth": "jwt", "jwt_secret": SECRET, "jwt_issuer": "i"}, "JWT_AUDIENCE"),
        ({"auth": "jwt", "jwt_secret": "short-secret", **NAMES}, "at least 32 bytes"),
        ({"auth": "jwt", "jwt_secret": "x" * 63, "jwt_algorithms": ("HS256", "HS512"), **NAMES}, "at least 64 bytes"),
        ({"auth": "jwt", "jwt_secret": pem(RSA_KEY), **NAMES}, "expected a secret, got a key"),
        ({"auth": "jwt", "jwt_secret": SECRET, "jwt_algorithms": ("HS256", "RS256"), **NAMES}, "RS256 does not fit"),
        ({"auth": "jwt", "jwt_public_key": pem(RSA_KEY), "jwt_algorithms": ("HS256",), **NAMES}, "HS256 does not fit"),
        ({"auth": "jwt", "jwt_public_key": pem(RSA_KEY), "jwt_algorithms": ("ES256",), **NAMES}, "fits none"),
        ({"auth": "jwt", "jwt_public_key": pem(SMALL_RSA_KEY), **NAMES}, "fits none"),
        ({"auth": "jwt", "jwt_algorithms": "none", "jwt_secret": SECRET, **NAMES}, "Input should be 'HS256'"),
        ({"jwt_public_key": "/nowhere/key.pem"}, "a file that can be read"),
        ({"jwt_public_key": "-----BEGIN PUBLIC KEY-----\nsecret\n-----END PUBLIC KEY-----"}, "public key in PEM"),
        ({"jwt_public_key": "-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----"}, "got a private one"),
        ({"jwt_jwks_url": "http://issuer.example/keys"}, "https address"),
        ({"jwt_jwks_url": "file:///etc/passwd"}, "https address"),
        ({"jwt_leeway_s": 301}, "less than or equal to 300"),
        ({"jwt_default_role": "root"}, "viewer"),
        ({"cost_per_minute": -1}, "greater than or equal to 0"),
    ],
)
def test_what_can_not_work_is_refused_without_its_value(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as refused:
        settings(**values)
    assert message in str(refused.value)
    for secret in (SECRET, "short-secret", "BEGIN", "xxxx", "passwd", "nowhere"):
        assert secret not in str(refused.value)
    assert SECRET not in repr(settings(jwt_secret=SECRET))


@pytest.mark.parametrize("url", ["https://issuer.example/keys", "http://127.0.0.1:1/k", "http://localhost/k"])
def test_keys_are_read_over_https_or_from_this_machine(url: str) -> None:
    assert settings(jwt_jwks_url=url).jwt_jwks_url == url
