"""How callers are known here; each setting is read from HEADWAY_<NAME>. No message repeats a value, often a secret."""

import ipaddress
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from core.documents import Role
from core.secrets import SecretiveSettings
from gateway.identity.algorithms import SECRET_BYTES, Algorithm, PublicKey, fits, load_public_key

MODES = frozenset({"off", "keys", "jwt"})
COST_PER_MINUTE = 100_000
"""Twenty of the dearest operations, or a thousand of the usual ones."""


class IdentitySettings(SecretiveSettings):
    """Off unless HEADWAY_AUTH says otherwise. HEADWAY_<NAME>_FILE names a file that holds the value."""

    model_config = SettingsConfigDict(
        env_prefix="HEADWAY_", frozen=True, extra="ignore", hide_input_in_errors=True, env_ignore_empty=True
    )

    auth: str = "off"
    """`off`, `keys`, `jwt`, or `keys,jwt` for both."""
    jwt_algorithms: Annotated[tuple[Algorithm, ...], NoDecode] = ()
    """Separated by commas; by default HS256 with a secret, RS256 and ES256 with public keys."""
    jwt_secret: SecretStr | None = None
    jwt_public_key: str | None = None
    """PEM text, or the path of a file that holds it."""
    jwt_jwks_url: str | None = None
    jwt_issuer: str | None = None
    jwt_audience: str | None = None
    jwt_leeway_s: float = Field(10.0, ge=0, le=300)
    """How far the issuer's clock may be off."""
    jwt_role_claim: str = Field("role", min_length=1)
    """A claim, or a path of them joined by dots, that holds a role or a list with roles in it."""
    jwt_default_role: Role | None = None
    """For a token without a role; by default it is refused."""
    cost_per_minute: int | None = Field(None, ge=0)
    """What one principal's operations may cost a minute. 0: anything; that is the default while `auth` is off."""

    @field_validator("jwt_algorithms", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(name.strip() for name in value.split(",") if name.strip()) if isinstance(value, str) else value

    @field_validator("auth")
    @classmethod
    def _know_modes(cls, value: str) -> str:
        modes = {mode.strip() for mode in value.split(",")}
        if not modes <= MODES or ("off" in modes and len(modes) > 1):
            raise ValueError("expected off, keys, jwt, or keys,jwt")
        return value

    @field_validator("jwt_public_key")
    @classmethod
    def _read_public_key(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if not value.lstrip().startswith("-----BEGIN"):
            try:
                value = Path(value).read_text(encoding="ascii")
            except (OSError, ValueError) as exc:
                raise ValueError("expected PEM text, or the path of a file that can be read") from exc
        load_public_key(value)
        return value

    @field_validator("jwt_jwks_url")
    @classmethod
    def _expect_safe_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.hostname and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname))):
            return value
        raise ValueError("expected an https address (http only on this machine)")

    @model_validator(mode="after")
    def _expect_one_source(self) -> "IdentitySettings":
        if not self.takes_tokens:
            return self
        sources = [self.jwt_secret, self.jwt_public_key, self.jwt_jwks_url]
        if sum(source is not None for source in sources) != 1:
            raise ValueError(
                "HEADWAY_AUTH=jwt needs exactly one of HEADWAY_JWT_SECRET, HEADWAY_JWT_PUBLIC_KEY, HEADWAY_JWT_JWKS_URL"
            )
        if not self.jwt_issuer or not self.jwt_audience:
            raise ValueError("HEADWAY_AUTH=jwt needs HEADWAY_JWT_ISSUER and HEADWAY_JWT_AUDIENCE")
        self._expect_fitting_algorithms()
        return self

    def _expect_fitting_algorithms(self) -> None:
        for algorithm in self.jwt_algorithms:
            if (algorithm in SECRET_BYTES) is (self.jwt_secret is None):
                raise ValueError(f"HEADWAY_JWT_ALGORITHMS: {algorithm} does not fit the kind of key that is given")
        if self.jwt_secret is not None:
            if self.jwt_secret.get_secret_value().lstrip().startswith("-----BEGIN"):
                raise ValueError("HEADWAY_JWT_SECRET: expected a secret, got a key; HEADWAY_JWT_PUBLIC_KEY takes one")
            least = max(SECRET_BYTES[algorithm] for algorithm in self.algorithms)
            if len(self.jwt_secret.get_secret_value().encode()) < least:
                raise ValueError(f"HEADWAY_JWT_SECRET: expected at least {least} bytes")
        key = self.public_key
        if key is not None and not any(fits(key, algorithm) for algorithm in self.algorithms):
            raise ValueError("HEADWAY_JWT_PUBLIC_KEY fits none of HEADWAY_JWT_ALGORITHMS (an RSA key needs 2,048 bits)")

    @property
    def takes_keys(self) -> bool:
        """Whether API keys are taken."""
        return "keys" in self.auth

    @property
    def takes_tokens(self) -> bool:
        """Whether JSON Web Tokens are taken."""
        return "jwt" in self.auth

    @property
    def is_off(self) -> bool:
        """Whether everybody may do everything."""
        return not self.takes_keys and not self.takes_tokens

    @property
    def algorithms(self) -> tuple[str, ...]:
        """The algorithms that a token may be signed with."""
        if self.jwt_algorithms:
            return self.jwt_algorithms
        return ("RS256", "ES256") if self.jwt_secret is None else ("HS256",)

    @property
    def public_key(self) -> PublicKey | None:
        """The one key that verifies all tokens, if there is one."""
        return None if self.jwt_public_key is None else load_public_key(self.jwt_public_key)

    @property
    def budget(self) -> int:
        """What one principal's operations may cost a minute; 0 means anything."""
        if self.cost_per_minute is not None:
            return self.cost_per_minute
        return 0 if self.is_off else COST_PER_MINUTE


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach the host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
