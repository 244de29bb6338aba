"""What a kind's function holds of its attempt when it runs on the worker's own event loop."""

import asyncio
from typing import Any
from uuid import UUID

import orjson

from jobs.attempt import Attempt, Interruption
from jobs.kinds import PermanentError
from jobs.ledger import Ledger

CHECKPOINT_BYTES = 1_000_000


class LoopContext:
    """The AsyncTaskContext of an `async def` kind."""

    def __init__(self, attempt: Attempt, ledger: Ledger) -> None:
        self._attempt = attempt
        self._ledger = ledger

    @property
    def task_id(self) -> UUID:
        """The task's id."""
        return self._attempt.task_id

    @property
    def attempt(self) -> int:
        """1 for the first attempt."""
        return self._attempt.task.attempt

    @property
    def state(self) -> Any:
        """What the latest `checkpoint` of an earlier attempt kept."""
        return self._attempt.task.checkpoint

    def progress(self, current: int, total: int | None = None, message: str | None = None) -> None:
        """Tell how far the work is."""
        self._attempt.say_progress(current, total, message)

    def log(self, text: str) -> None:
        """Tell followers a sentence."""
        self._attempt.say_log(text)

    async def checkpoint(self, state: Any) -> None:
        """Store what the next attempt needs; see AsyncTaskContext."""
        if len(orjson.dumps(state)) > CHECKPOINT_BYTES:
            raise PermanentError(
                f"checkpoint: expected at most {CHECKPOINT_BYTES:,} bytes", code="CHECKPOINT_TOO_LARGE"
            )
        if not await self._ledger.checkpoint(self.task_id, self._attempt.epoch, state):
            self._attempt.interrupt(Interruption.FENCED)
        if self._attempt.interruption is not None:  # The driver may have swallowed the cancellation meanwhile.
            raise asyncio.CancelledError
