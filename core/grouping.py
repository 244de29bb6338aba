"""Group commit: concurrent calls share one round trip; an idle system waits for nothing unless it is told to gather."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

SEVERAL = 4
"""Items that share a flush by more than chance: then more are on their way."""
PAUSE_S = 0.003
"""What lets a few more join, where a flush costs as much as ten items in it."""
Item = TypeVar("Item")
Result = TypeVar("Result")


class GroupCommit(Generic[Item, Result]):
    """Hands what has gathered while the previous flush was under way to `flush`, at most `limit` items at a time.

    `flush` returns one result an item, in their order. What it raises reaches every caller of that batch. A caller
    that is cancelled stops waiting; its item is flushed all the same. With `gather_s` a flush waits so many seconds for
    more, for what nobody waits for. With `pause_s` it does so only after a flush that several shared. An exception of
    `hopeless` reaches whatever gathered meanwhile too, which then is not flushed.
    """

    def __init__(
        self,
        flush: Callable[[list[Item]], Awaitable[Sequence[Result]]],
        *,
        name: str,
        limit: int = 500,
        gather_s: float = 0.0,
        pause_s: float = 0.0,
        hopeless: tuple[type[Exception], ...] = (),
    ) -> None:
        self._gather_s = gather_s
        self._pause_s = pause_s
        self._flush = flush
        self._name = name
        self._limit = limit
        self._hopeless = hopeless
        self._waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._flusher: asyncio.Task[None] | None = None

    async def submit(self, item: Item) -> Result:
        """Return the item's result once its batch is flushed."""
        return await self._add(item)

    async def submit_all(self, items: Sequence[Item]) -> list[Result]:
        """Return the items' results, in their order, once all are flushed; what is raised for one is raised for all."""
        return await asyncio.gather(*map(self._add, items))

    def _add(self, item: Item) -> "asyncio.Future[Result]":
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._flusher is None:
            self._flusher = asyncio.create_task(self._run(), name=self._name)
        return future

    async def aclose(self) -> None:
        """Wait until everything submitted so far is flushed."""
        if self._flusher is not None:
            await asyncio.shield(self._flusher)

    async def _run(self) -> None:
        try:
            while self._waiting:
                if self._gather_s:
                    await asyncio.sleep(self._gather_s)
                batch = [self._waiting.popleft() for _ in range(min(self._limit, len(self._waiting)))]
                await self._flush_batch(batch)
                if self._pause_s and len(batch) >= SEVERAL:
                    await asyncio.sleep(self._pause_s)
        finally:
            self._flusher = None

    async def _flush_batch(self, batch: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        try:
            results = await self._flush([item for item, _ in batch])
        except BaseException as exc:
            if isinstance(exc, self._hopeless):
                batch = [*batch, *self._waiting]
                self._waiting.clear()
            for _, future in batch:
                if not future.done():
                    if isinstance(exc, Exception):
                        future.set_exception(exc)
                    else:
                        future.cancel()
            if not isinstance(exc, Exception):
                raise
            return
        for (_, future), result in zip(batch, results, strict=True):
            if not future.done():
                future.set_result(result)
