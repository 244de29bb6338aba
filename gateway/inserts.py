"""Inserting tasks: those that are submitted at the same moment share one write; each learns what became of its own."""

from collections.abc import Sequence
from typing import Any

from bson import encode
from bson.raw_bson import RawBSONDocument
from pymongo.errors import BulkWriteError, DocumentTooLarge, DuplicateKeyError

from core.documents import Task
from core.grouping import PAUSE_S, GroupCommit

DUPLICATE_KEY = 11_000
MAX_DOCUMENT_BYTES = 16 * 1024 * 1024
"""What MongoDB stores at most; the driver would refuse a whole batch for one that is larger."""
Inserted = DuplicateKeyError | BulkWriteError | None


class Inserts:
    """Stores new tasks. A task is encoded by itself, so that one that can't be is no reason to refuse another."""

    def __init__(self) -> None:
        self._group = GroupCommit[RawBSONDocument, Inserted](_insert, name="inserts", pause_s=PAUSE_S)

    async def submit(self, task: Task) -> None:
        """Store a task; return when it is durable.

        Raises DuplicateKeyError if its idempotency key is taken, what `bson.encode` raises and DocumentTooLarge where
        it can't be stored, and PyMongoError when MongoDB takes nothing.
        """
        options = Task.get_pymongo_collection().codec_options
        document = task.model_dump(exclude={"id", "revision_id"})
        encoded = encode({"_id": task.id, **document}, codec_options=options)
        if len(encoded) > MAX_DOCUMENT_BYTES:
            raise DocumentTooLarge(f"expected at most {MAX_DOCUMENT_BYTES} bytes, got {len(encoded)}")
        refused = await self._group.submit(RawBSONDocument(encoded))
        if refused is not None:
            raise refused


async def _insert(documents: Sequence[RawBSONDocument]) -> list[Inserted]:
    outcomes: list[Inserted] = [None] * len(documents)
    collection = Task.get_pymongo_collection()
    if len(documents) == 1:
        await collection.insert_one(documents[0])
        return outcomes
    try:
        await collection.insert_many(documents, ordered=False)
    except BulkWriteError as exc:
        errors = exc.details["writeErrors"]
        if not errors:
            raise
        for error in errors:
            outcomes[error["index"]] = _refusal(error, exc)
    return outcomes


def _refusal(error: dict[str, Any], of: BulkWriteError) -> DuplicateKeyError | BulkWriteError:
    if error["code"] == DUPLICATE_KEY:
        return DuplicateKeyError(error["errmsg"], error["code"], error)
    return BulkWriteError({**of.details, "writeErrors": [error]})
