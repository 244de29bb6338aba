"""JSON Web Tokens: whose they are, once their signature, issuer, audience and times hold (RFC 7519, RFC 8725)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import jwt

from core.documents import Role
from core.errors import Unauthenticated
from gateway.identity.algorithms import fits
from gateway.identity.principals import RANKS, Principal

MAX_OWNER_CHARS = 200


class KeySource(Protocol):
    """Knows the key that verifies a token with this header."""

    async def find(self, key_id: str | None, algorithm: str) -> Any:
        """Return the key. Raises Unauthenticated if there is none, Unavailable if nobody can tell."""


@dataclass(frozen=True)
class FixedKey:
    """One key from the settings: a secret, or a public key."""

    key: Any
    is_secret: bool

    async def find(self, key_id: str | None, algorithm: str) -> Any:
        """Return the key, whatever id the token names."""
        if self.is_secret is not algorithm.startswith("HS") or not (self.is_secret or fits(self.key, algorithm)):
            raise Unauthenticated("The token is signed with an algorithm that does not fit the key")
        return self.key


@dataclass(frozen=True)
class TokenVerifier:
    """Verifies tokens of one issuer for one audience. The algorithms are ours to choose, never the token's."""

    keys: KeySource
    algorithms: Sequence[str]
    issuer: str
    audience: str
    leeway_s: float
    role_claim: str
    default_role: Role | None = None

    async def authenticate(self, token: str) -> Principal:
        """Return whose token it is. Raises Unauthenticated, and Unavailable if the issuer's keys can't be had."""
        try:
            header = jwt.get_unverified_header(token)
            algorithm = next((name for name in self.algorithms if name == header.get("alg")), None)
            if algorithm is None:
                raise Unauthenticated("The token is signed with an algorithm that is not taken here")
            key = await self.keys.find(header.get("kid"), algorithm)
            claims = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                issuer=self.issuer,
                audience=self.audience,
                leeway=self.leeway_s,
                options={"require": ["exp", "iss", "aud", "sub"], "enforce_minimum_key_length": True},
            )
            return self._principal(claims)
        except jwt.ExpiredSignatureError as exc:
            raise Unauthenticated("The token has expired") from exc
        except (jwt.InvalidIssuerError, jwt.InvalidAudienceError) as exc:
            raise Unauthenticated("The token is meant for someone else: its issuer or audience is not ours") from exc
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as exc:
            # What is no token at all must not look like a bug of ours: its JSON may be as wrong as anything.
            raise Unauthenticated("The token is not valid") from exc

    def _principal(self, claims: Mapping[str, Any]) -> Principal:
        owner = claims["sub"]
        if not owner.strip() or len(owner) > MAX_OWNER_CHARS:
            raise Unauthenticated(f"The token's `sub` is not 1 to {MAX_OWNER_CHARS} characters")
        roles = _roles_in(_claim(claims, self.role_claim))
        role = max(roles, key=RANKS.__getitem__) if roles else self.default_role
        if role is None:
            raise Unauthenticated("The token names no role that is known here")
        return Principal(owner, role, float(claims["exp"]) + self.leeway_s)


def _claim(claims: Mapping[str, Any], path: str) -> Any:
    """Return the claim of that name, else what stands at the end of the path, None if nothing does."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _roles_in(value: Any) -> list[Role]:
    names = value if isinstance(value, list) else [value]
    return [Role(name) for name in names if isinstance(name, str) and name in RANKS]
