"""Reads that are asked for at the same time: those of the same thing share one.

Whoever asks is answered by a read that began afterwards, so everybody sees what was written before. The first to ask
reads at once; those who ask meanwhile wait until it is done, and then share one read.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


class _Left(Exception):  # It is no error: somebody else reads.
    """Whoever was to read for others was cancelled."""


class _Round:
    """One read: what it came to, and the read that follows it if somebody has asked meanwhile."""

    __slots__ = ("_outcome", "following")

    def __init__(self) -> None:
        self._outcome: asyncio.Future[Any] | None = None
        self.following: _Round | None = None

    @property
    def outcome(self) -> asyncio.Future[Any]:
        """What it will have come to, for those who wait; it is made for the first of them."""
        if self._outcome is None:
            self._outcome = asyncio.get_running_loop().create_future()
        return self._outcome

    def succeed(self, found: Any) -> None:
        """Give those who wait what was read."""
        if self._outcome is not None:
            self._outcome.set_result(found)

    def fail(self, exc: Exception) -> None:
        """Have those who wait meet an error."""
        if self._outcome is not None:
            self._outcome.set_exception(exc)
            self._outcome.exception()  # Perhaps nobody waits any more.


class SharedReads:
    """The reads of one replica that are under way, by what they read. What is read must not be changed by anybody."""

    def __init__(self) -> None:
        self._rounds: dict[Hashable, _Round] = {}

    def __len__(self) -> int:
        return len(self._rounds)

    async def share(self, key: Hashable, read: Callable[[], Awaitable[T]]) -> T:
        """Return what `read` does, or what it did for another who asked for the same. Raises what it raises."""
        while True:
            under_way = self._rounds.get(key)
            if under_way is None:
                return await self._lead(key, _Round(), read)
            if under_way.following is None:
                under_way.following = _Round()
                return await self._follow(key, under_way, under_way.following, read)
            try:
                found: T = await asyncio.shield(under_way.following.outcome)
            except _Left:
                continue
            return found

    async def _follow(self, key: Hashable, before: _Round, own: _Round, read: Callable[[], Awaitable[T]]) -> T:
        try:
            await asyncio.wait({before.outcome})
        except BaseException:
            before.following = None
            if before.outcome.done():
                self._rounds.pop(key, None)
            own.fail(_Left())
            raise
        return await self._lead(key, own, read)

    async def _lead(self, key: Hashable, own: _Round, read: Callable[[], Awaitable[T]]) -> T:
        self._rounds[key] = own
        try:
            found = await read()
        except BaseException as exc:
            own.fail(exc if isinstance(exc, Exception) else _Left())
            raise
        finally:
            if own.following is None:
                del self._rounds[key]
        own.succeed(found)
        return found
