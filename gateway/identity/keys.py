"""API keys: how one is made and told apart, and the ring that knows the stored ones.

A key is `hwk_<12 hex digits>_<43 characters>`: the part before the second underscore is public and finds the document,
the rest is a secret of 256 random bits. So one SHA-256 is as good as a slow hash, which is for secrets people choose.
"""

import asyncio
import hashlib
import hmac
import math
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime

from pymongo.errors import PyMongoError

from core.clock import utc_now
from core.documents import ApiKey, Role
from core.errors import Unauthenticated, Unavailable
from core.grouping import GroupCommit
from gateway.identity.principals import Principal

KEY_PREFIX = "hwk_"
CACHE_S = 10.0
"""How long a key that was read is taken for unchanged: so long a revoked one may still work."""
MAX_CACHED = 10_000
READ_LIMIT = 500
"""Keys read by one query."""
READ_TIMEOUT_S = 5.0
_FORM = re.compile(r"(hwk_[0-9a-f]{12})_[A-Za-z0-9_-]{43}")
_NO_DIGEST = bytes(32)


def new_key(name: str, owner: str, role: Role, expires_at: datetime | None) -> tuple[str, ApiKey]:
    """Return a new key's text, which is nowhere else, and its document, not yet stored."""
    ident = f"{KEY_PREFIX}{secrets.token_hex(6)}"
    text = f"{ident}_{secrets.token_urlsafe(32)}"
    return text, ApiKey(id=ident, digest=_digest(text), name=name, owner=owner, role=role, expires_at=expires_at)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def is_valid(key: ApiKey, now: datetime) -> bool:
    """Return whether a stored key works: it is neither revoked nor expired."""
    return key.revoked_at is None and (key.expires_at is None or key.expires_at > now)


class KeyRing:
    """Reads keys from MongoDB and remembers them for `cache_s`. One a replica."""

    def __init__(self, cache_s: float = CACHE_S) -> None:
        self.cache_s = cache_s
        self._cache: OrderedDict[str, tuple[float, ApiKey]] = OrderedDict()
        self._reads = GroupCommit(_read, name="read API keys", limit=READ_LIMIT)

    async def aclose(self) -> None:
        """Stop the reads that are under way."""
        await self._reads.aclose()

    async def authenticate(self, text: str) -> Principal:
        """Return whom a key stands for. Raises Unauthenticated, and Unavailable if MongoDB does not answer."""
        form = _FORM.fullmatch(text)
        if form is None:
            raise Unauthenticated("The API key is malformed")
        key = await self._find(form[1])
        matches = hmac.compare_digest(_NO_DIGEST if key is None else key.digest, _digest(text))
        if key is None or not matches:
            raise Unauthenticated("The API key is unknown")
        if not is_valid(key, utc_now()):
            raise Unauthenticated("The API key was revoked or has expired")
        expires_at = math.inf if key.expires_at is None else key.expires_at.timestamp()
        return Principal(key.owner, key.role, expires_at, key.id)

    async def still_holds(self, key_id: str) -> bool:
        """Return whether the key works still. While MongoDB does not answer, nothing is known against it."""
        try:
            key = await self._find(key_id)
        except Unavailable:
            return True
        return key is not None and is_valid(key, utc_now())

    async def _find(self, key_id: str) -> ApiKey | None:
        known = self._cache.get(key_id)
        if known is not None and time.monotonic() - known[0] < self.cache_s:
            return known[1]
        asked_at = time.monotonic()
        try:
            async with asyncio.timeout(READ_TIMEOUT_S):
                key = await self._reads.submit(key_id)
        except (PyMongoError, TimeoutError, OSError) as exc:
            raise Unavailable("MongoDB") from exc
        self._cache.pop(key_id, None)
        if key is not None:
            self._cache[key_id] = (asked_at, key)
            while len(self._cache) > MAX_CACHED:
                self._cache.popitem(last=False)
        return key


async def _read(key_ids: Sequence[str]) -> list[ApiKey | None]:
    found = {key.id: key async for key in ApiKey.find({"_id": {"$in": sorted(set(key_ids))}})}
    return [found.get(key_id) for key_id in key_ids]
