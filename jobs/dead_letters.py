"""Keeps what could not become a running task, with its reason, where it can be listed and sent again: in MongoDB."""

import asyncio
import hashlib

from pymongo.errors import DuplicateKeyError, PyMongoError

from core.documents import DeadLetter, Task
from core.telemetry import get_logger
from jobs.attempt import storable
from jobs.metrics import DEAD_LETTERS

BODY_BYTES = 64 * 1024
"""What is kept of a message. One that carries 50 tasks takes 10 KB."""
REASON_CHARS = 500
RETRY_S = 0.5

log = get_logger(__name__)


async def bury_message(body: bytes, reason: str, *, queue: str, is_redelivered: bool) -> None:
    """Store an unreadable message; wait for MongoDB as long as it takes. Cancelled, it may not be stored.

    One that was delivered before, and is stored already, is not stored again.
    """
    letter = DeadLetter(
        reason=storable(reason, REASON_CHARS),
        queue=queue,
        body=body[:BODY_BYTES],
        size=len(body),
        digest=hashlib.sha256(body).hexdigest(),
    )
    if await _store(letter, known={"digest": letter.digest, "queue": queue} if is_redelivered else None):
        DEAD_LETTERS.labels("unreadable").inc()


async def bury_task(task: Task, reason: str) -> None:
    """Store that a task failed because its kind is unknown; wait for MongoDB as long as it takes."""
    letter = DeadLetter(id=task.id, task_id=task.id, owner=task.owner, reason=storable(reason, REASON_CHARS))
    if await _store(letter, known=None):
        DEAD_LETTERS.labels("unknown kind").inc()


async def _store(letter: DeadLetter, known: dict[str, str | None] | None) -> bool:
    while True:
        try:
            if known is not None and await DeadLetter.find_one(known) is not None:
                return False
            await letter.insert()
        except DuplicateKeyError:  # The answer to an earlier try was lost.
            return True
        except PyMongoError as exc:
            log.warning("A dead letter waits for MongoDB", reason=letter.reason, error=str(exc))
            await asyncio.sleep(RETRY_S)
        else:
            return True
