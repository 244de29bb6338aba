"""The issuer's public keys, read from its JWKS address (RFC 7517) and kept while it does not answer."""

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx
from jwt import PyJWK, PyJWTError

from core.errors import Unauthenticated, Unavailable
from core.telemetry import get_logger
from gateway.identity.algorithms import fits
from gateway.identity.settings import is_loopback

LIFESPAN_S = 300.0
"""How long keys are taken for the issuer's present ones."""
COOLDOWN_S = 10.0
"""Between two fetches that an unknown key id or a failure asks for."""
FETCH_TIMEOUT_S = 3.0
MAX_BYTES = 512 * 1024
MAX_KEYS = 100

log = get_logger(__name__)


class RemoteKeys:
    """Finds keys by their id. Concurrent callers share one fetch. Times are seconds."""

    def __init__(self, url: str, *, lifespan_s: float = LIFESPAN_S, cooldown_s: float = COOLDOWN_S) -> None:
        self._url = url
        self._lifespan_s = lifespan_s
        self._cooldown_s = cooldown_s
        self._http = httpx.AsyncClient(
            timeout=FETCH_TIMEOUT_S, trust_env=not is_loopback(urlsplit(url).hostname or ""), follow_redirects=False
        )
        self._keys: Mapping[str | None, list[object]] = {}
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._fetching: asyncio.Task[None] | None = None

    async def aclose(self) -> None:
        """Stop a fetch that is under way and close the connections."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.gather(self._fetching, return_exceptions=True)
        await self._http.aclose()

    async def find(self, key_id: str | None, algorithm: str) -> Any:
        """Return the issuer's key for a token's header. An id that is not known yet asks the issuer once.

        A token without an id is taken where only one key fits. Raises Unauthenticated if no key fits, and Unavailable
        if the issuer never answered.
        """
        if self._is_older_than(self._fetched_at, self._lifespan_s):
            await self._refresh()
        key = self._pick(key_id, algorithm)
        if key is None:
            await self._refresh()
            key = self._pick(key_id, algorithm)
        if key is not None:
            return key
        if self._fetched_at is None:
            raise Unavailable("The issuer of tokens")
        raise Unauthenticated("The token is signed with a key that the issuer does not publish")

    def _pick(self, key_id: str | None, algorithm: str) -> object | None:
        found = self._keys.get(key_id, []) if key_id is not None else [key for of in self._keys.values() for key in of]
        fitting = [key for key in found if fits(key, algorithm)]
        return fitting[0] if len(fitting) == 1 else None

    @staticmethod
    def _is_older_than(moment: float | None, age_s: float) -> bool:
        return moment is None or time.monotonic() - moment >= age_s

    async def _refresh(self) -> None:
        """Wait for the fetch that is under way, or for a new one unless the last one is too recent."""
        if self._fetching is None:
            if not self._is_older_than(self._tried_at, self._cooldown_s):
                return
            self._fetching = asyncio.create_task(self._fetch(), name="fetch the issuer's keys")
        await asyncio.shield(self._fetching)

    async def _fetch(self) -> None:
        try:
            async with asyncio.timeout(FETCH_TIMEOUT_S):
                self._keys = read_keys(await self._download())
            self._fetched_at = time.monotonic()
        except (httpx.HTTPError, ValueError, RecursionError, TimeoutError) as exc:
            log.warning("The issuer's keys could not be read; the known ones stay", reason=type(exc).__name__)
        finally:
            self._tried_at = time.monotonic()
            self._fetching = None

    async def _download(self) -> bytes:
        body = bytearray()
        async with self._http.stream("GET", self._url, headers={"accept": "application/json"}) as response:
            if response.status_code != httpx.codes.OK:
                raise ValueError("not 200")
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MAX_BYTES:
                    raise ValueError("too large")
        return bytes(body)


def read_keys(body: bytes) -> dict[str | None, list[object]]:
    """Return the usable keys of a key set by their ids. Raises ValueError if it is none, or holds none.

    A key that is malformed, or whose id is no text, is left out: it must not take the others with it.
    """
    document = json.loads(body)
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list) or len(listed) > MAX_KEYS:
        raise ValueError("no key set")
    keys: dict[str | None, list[object]] = {}
    for entry in listed:
        if not isinstance(entry, dict) or entry.get("kty") not in ("RSA", "EC") or entry.get("use", "sig") != "sig":
            continue
        kid = entry.get("kid")
        if kid is not None and not isinstance(kid, str):
            continue
        try:
            key = PyJWK(entry).key
        except (PyJWTError, ValueError, TypeError, KeyError, OverflowError):
            continue
        keys.setdefault(kid, []).append(key)
    if not keys:
        raise ValueError("no usable key")
    return keys
