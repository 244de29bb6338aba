"""Lua scripts on Redis: called by their hash, taught again to a server that does not know them."""

import hashlib
from collections.abc import Awaitable, Callable, Sequence

from redis.asyncio import Redis
from redis.exceptions import NoScriptError


class Script:
    """A script with a fixed text. Calling it costs one round trip, two where the server is new or has restarted."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    async def __call__(self, redis: Redis, keys: Sequence[str], args: Sequence[str | bytes | int]) -> object:
        """Return what the script returns. Raises redis.RedisError."""
        call: Callable[..., Awaitable[object]] = redis.execute_command
        try:
            return await call("EVALSHA", self._sha, len(keys), *keys, *args)
        except NoScriptError:  # EVAL runs it and teaches it.
            return await call("EVAL", self._text, len(keys), *keys, *args)
