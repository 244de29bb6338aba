"""One follower of a task, from its joining to its leaving: it asks for one thing after the other, or is called."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

from core.documents import Task
from gateway.relay.watch import Waker, Watch

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
V = TypeVar("V")
CONFIRM_S = 2.0
"""How long a new subscriber, or the start, waits for Redis before it goes on with MongoDB alone."""


class Slot(Waker, Protocol[T_co]):
    """What one follower saw last. It takes from its watch; nobody keeps anything for it."""

    listener: Callable[[Any], bool] | None

    async def next(self, watch: Watch) -> T_co:
        """Wait for what comes next. Raises what the watch failed with, and StopAsyncIteration after the end."""

    def is_up_to_date(self, watch: Watch) -> bool:
        """Whether there is nothing to be handed out before its listener is called."""

    def stop(self) -> None:
        """Call nobody any more."""


class Tables(Protocol):
    """Where followers stand."""

    def join(self, task_id: UUID, follower: Waker) -> Watch:
        """Have the follower woken as the task moves on."""

    def leave(self, watch: Watch, follower: Waker) -> None:
        """Have it woken no more."""


class Following(Generic[V]):
    """It joins when it is asked for the first time; it leaves when it ends, fails, is cancelled or closed.

    A reader that has all there is need not wait in a task of its own: it may `listen`. It is called with what comes
    next, as it was before it is shown, and says whether it has taken that; what it has not stays to be asked for. It is
    called with None where it has to ask: for the end, or for what has to be read first.
    """

    __slots__ = ("_is_over", "_slot", "_tables", "_task_id", "_watch", "joined", "show")

    def __init__(self, tables: Tables, task_id: UUID, slot: Slot[T], show: Callable[[T], V]) -> None:
        self._tables = tables
        self._task_id = task_id
        self._slot: Slot[Any] = slot
        self.show: Callable[[Any], V] = show
        self._watch: Watch | None = None
        self._is_over = False
        self.joined: Callable[[Task], None] | None = None
        """What is told the task as it is when the follower joins."""

    def shown(self, show: Callable[[V], T]) -> "Following[T]":
        """Return the same, to be used in its place, with something else for each thing that is handed out."""
        return Following(self._tables, self._task_id, self._slot, show)

    def __aiter__(self) -> "Following[V]":
        return self

    async def __anext__(self) -> V:
        if self._is_over:
            raise StopAsyncIteration
        self._slot.listener = None
        try:
            if self._watch is None:
                self._watch = self._tables.join(self._task_id, self._slot)
                await _until_ready(self._watch)
                if self.joined is not None and self._watch.failure is None:
                    self.joined(self._watch.task)
            return self.show(await self._slot.next(self._watch))
        except BaseException:
            self.close()
            raise

    @property
    def is_up_to_date(self) -> bool:
        """Whether there is nothing to be handed out before its listener is called."""
        return self._watch is not None and self._slot.is_up_to_date(self._watch)

    def listen(self, listener: Callable[[Any], bool] | None) -> None:
        """Have a function, which must not raise, called until the next is asked for, or with None nobody any more."""
        self._slot.listener = listener

    def close(self) -> None:
        """Leave."""
        watch, self._watch, self._is_over = self._watch, None, True
        self._slot.stop()
        if watch is not None:
            self._tables.leave(watch, self._slot)

    async def aclose(self) -> None:
        """Leave, under the name by which generators are closed."""
        self.close()


async def _until_ready(watch: Watch) -> None:
    """Wait for its first document, and as long as makes sense for Redis."""
    await watch.loaded.wait()
    if not watch.ready.is_set():
        with suppress(TimeoutError):
            async with asyncio.timeout(CONFIRM_S):
                await watch.ready.wait()
