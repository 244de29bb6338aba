"""Single look-ups answered by few queries: what is asked while one is under way waits for it and then goes together."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Batched(Generic[K, V]):
    """Gathers keys for `fetch`, which is never run twice at once: so a replica asks a service one question at a time.

    An answer is never older than its question. `fetch` has `timeout_s` to answer for at most `limit` keys; what it
    raises is raised to everyone who asked with it.
    """

    def __init__(
        self, fetch: Callable[[list[K]], Awaitable[Mapping[K, V]]], *, name: str, limit: int, timeout_s: float
    ) -> None:
        self._fetch = fetch
        self._name = name
        self._limit = limit
        self._timeout_s = timeout_s
        self._asked: dict[K, asyncio.Future[V | None]] = {}
        self._running: asyncio.Task[None] | None = None

    async def get(self, key: K) -> V | None:
        """Return what `fetch` finds under the key, None if nothing. Cancelling it leaves the others' query alone."""
        answer = self._asked.get(key)
        if answer is None:
            answer = self._asked[key] = asyncio.get_running_loop().create_future()
        if self._running is None:
            self._running = asyncio.create_task(self._run(), name=self._name)
        return await asyncio.shield(answer)

    async def aclose(self) -> None:
        """Stop the query under way; who waits for an answer is cancelled."""
        if self._running is not None:
            self._running.cancel()
            with suppress(asyncio.CancelledError):
                await self._running

    async def _run(self) -> None:
        taken: dict[K, asyncio.Future[V | None]] = {}
        try:
            while self._asked:
                keys = list(self._asked)[: self._limit]
                taken = {key: self._asked.pop(key) for key in keys}
                await self._answer(taken)
        finally:
            self._running = None
            for answer in (*taken.values(), *self._asked.values()):
                answer.cancel()
            self._asked.clear()

    async def _answer(self, taken: Mapping[K, asyncio.Future[V | None]]) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                found = await self._fetch(list(taken))
        except Exception as exc:  # noqa: BLE001 - whatever it is, it belongs to those who asked.
            for answer in taken.values():
                if not answer.done():
                    answer.set_exception(exc)
                    answer.exception()  # Its askers may all be gone; then nobody else would ever look at it.
            return
        for key, answer in taken.items():
            if not answer.done():
                answer.set_result(found.get(key))
