"""From what a client presents to a principal, and the moment when that no longer holds."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from core.errors import Unauthenticated
from core.telemetry import get_logger
from gateway.identity.keys import KEY_PREFIX, KeyRing
from gateway.identity.principals import LOCAL, Principal
from gateway.identity.tokens import TokenVerifier
from gateway.metrics import REFUSED_CREDENTIALS

MAX_CREDENTIAL_CHARS = 8_192
LONGEST_SLEEP_S = 600.0
"""So that a clock that was set is noticed."""

log = get_logger(__name__)


@dataclass(frozen=True)
class Authenticator:
    """Knows principals by API keys, by tokens, or by both. With neither, authentication is off: everybody is LOCAL."""

    keys: KeyRing | None = None
    tokens: TokenVerifier | None = None

    @property
    def is_off(self) -> bool:
        """Whether everybody may do everything."""
        return self.keys is None and self.tokens is None

    async def authenticate(self, authorization: object) -> Principal:
        """Return who presents this value of an Authorization header, None where there is none.

        Raises Unauthenticated, and Unavailable where what knows keys or tokens does not answer.
        """
        if self.is_off:
            return LOCAL
        try:
            return await self._recognise(_credential_of(authorization))
        except Unauthenticated as exc:
            REFUSED_CREDENTIALS.inc()
            log.info("Refused a caller", reason=str(exc))
            raise

    async def _recognise(self, credential: str) -> Principal:
        if credential.startswith(KEY_PREFIX):
            if self.keys is None:
                raise Unauthenticated("API keys are not taken here")
            return await self.keys.authenticate(credential)
        if self.tokens is None:
            raise Unauthenticated("The API key is malformed")
        return await self.tokens.authenticate(credential)

    async def until_invalid(self, principal: Principal) -> None:
        """Return once the principal's token or key has expired or, seen within 10 s, was revoked."""
        pause_s = LONGEST_SLEEP_S if self.keys is None or principal.key_id is None else self.keys.cache_s
        while (left_s := principal.expires_at - time.time()) > 0:
            await asyncio.sleep(min(left_s, pause_s))
            if self.keys and principal.key_id and not await self.keys.still_holds(principal.key_id):
                return

    @asynccontextmanager
    async def while_valid(self, principal: Principal) -> AsyncIterator[None]:
        """Run the block while the principal holds, then cancel it and raise Unauthenticated."""
        if principal.is_lasting:
            yield
            return
        try:
            async with asyncio.timeout(None) as scope:
                ending = asyncio.create_task(self._end(principal, scope), name="wait for a credential's end")
                try:
                    yield
                finally:
                    ending.cancel()
        except TimeoutError as exc:
            if not scope.expired():
                raise
            raise no_longer_valid() from exc

    async def _end(self, principal: Principal, scope: asyncio.Timeout) -> None:
        await self.until_invalid(principal)
        scope.reschedule(asyncio.get_running_loop().time())


def no_longer_valid() -> Unauthenticated:
    """Return the error of what was let in and has to end now."""
    return Unauthenticated("The API key or token no longer holds; come again with a new one")


def _credential_of(authorization: object) -> str:
    if authorization is None:
        raise Unauthenticated("Expected `Authorization: Bearer` with an API key or a token", challenge="")
    if not isinstance(authorization, str) or len(authorization) > MAX_CREDENTIAL_CHARS:
        raise Unauthenticated(f"Authorization: expected text of at most {MAX_CREDENTIAL_CHARS:,} characters")
    scheme, _, credential = authorization.strip().partition(" ")
    if scheme.lower() != "bearer" or not credential.strip():
        raise Unauthenticated("Authorization: expected the scheme Bearer and an API key or a token")
    return credential.strip()
