"""Making what knows principals, from the settings and the services that are open."""

from contextlib import AsyncExitStack

from redis.asyncio import Redis

from gateway.identity.authentication import Authenticator
from gateway.identity.budget import CostBudget
from gateway.identity.jwks import RemoteKeys
from gateway.identity.keys import KeyRing
from gateway.identity.settings import IdentitySettings
from gateway.identity.tokens import FixedKey, KeySource, TokenVerifier


def open_authenticator(settings: IdentitySettings, stack: AsyncExitStack) -> Authenticator:
    """Return what the settings ask for; the stack closes it. The documents have to be bound to MongoDB by then."""
    keys: KeyRing | None = None
    if settings.takes_keys:
        keys = KeyRing()
        stack.push_async_callback(keys.aclose)
    return Authenticator(keys, _open_verifier(settings, stack) if settings.takes_tokens else None)


def _open_verifier(settings: IdentitySettings, stack: AsyncExitStack) -> TokenVerifier:
    source: KeySource
    if settings.jwt_jwks_url is not None:
        source = remote = RemoteKeys(settings.jwt_jwks_url)
        stack.push_async_callback(remote.aclose)
    elif settings.jwt_secret is not None:
        source = FixedKey(settings.jwt_secret.get_secret_value(), is_secret=True)
    else:
        source = FixedKey(settings.public_key, is_secret=False)
    assert settings.jwt_issuer is not None
    assert settings.jwt_audience is not None
    return TokenVerifier(
        source,
        settings.algorithms,
        settings.jwt_issuer,
        settings.jwt_audience,
        settings.jwt_leeway_s,
        settings.jwt_role_claim,
        settings.jwt_default_role,
    )


def open_budget(settings: IdentitySettings, redis: Redis, namespace: str) -> CostBudget | None:
    """Return what counts costs, None where they are not counted."""
    return CostBudget(redis, namespace, settings.budget) if settings.budget else None
