"""Files that tasks make: written in pieces into GridFS, served at `/files/{id}`, removed when their time is over.

A file can be fetched once its task has succeeded with the file's id as `file_id` in its result, and never before. So
the task's own compare-and-set publishes it: no half file is ever seen, nor that of an attempt which lost its task.
Every attempt writes a file of its own. While it does, it renews the file's time; what a dead worker left is not renewed
and swept, at the latest after UNFINISHED_FOR.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from pymongo.errors import PyMongoError

from core import gridfs
from core.clock import utc_now
from core.documents import Task
from core.errors import NotFound
from core.file_document import File, FileState
from core.states import TaskStatus
from core.telemetry import get_logger

KEPT_FOR = timedelta(days=1)
UNFINISHED_FOR = timedelta(minutes=10)
"""How long a file stays that nobody writes to any more."""
BATCH = 100

log = get_logger(__name__)


class FileLost(Exception):
    """The file that was being written is gone: a later attempt has discarded it, or nothing came for too long."""


async def store(task_id: UUID, attempt: int, filename: str, media_type: str, pieces: AsyncIterator[bytes]) -> File:
    """Keep what `pieces` yields for KEPT_FOR; earlier attempts' files of this task go.

    If that fails or is cancelled, nothing is left. Raises FileLost.
    """
    collection, now = File.get_pymongo_collection(), utc_now()
    earlier = {"metadata.task_id": task_id, "metadata.attempt": {"$lt": attempt}}
    await collection.update_many(earlier, {"$set": {"metadata.expire_at": now}})
    state = FileState(task_id=task_id, attempt=attempt, media_type=media_type, expire_at=now + UNFINISHED_FOR)
    file = File(chunkSize=gridfs.CHUNK_BYTES, uploadDate=now, filename=filename, metadata=state)
    await file.insert()
    try:
        async with aclosing(_renewing(file.id, pieces)) as renewed:
            file.length = await gridfs.write(File, file.id, renewed)
        state.expire_at = await _keep(file.id, KEPT_FOR, length=file.length)
    except BaseException:
        dropping = asyncio.create_task(_drop_what_came(file.id), name=f"drop file {file.id}")
        await asyncio.shield(dropping)
        raise
    return file


async def _renewing(file_id: UUID, pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Yield the pieces. When the next is asked for the last is stored: if the file has gone by then, it stayed behind
    alone, so the writer has to hear of it and remove it."""
    async for piece in pieces:
        yield piece
        await _keep(file_id, UNFINISHED_FOR)


async def _keep(file_id: UUID, time: timedelta, **values: Any) -> datetime:
    """Keep the file for so long from now, and return until when. Raises FileLost."""
    now = utc_now()
    found = await File.get_pymongo_collection().update_one(
        {"_id": file_id, "metadata.expire_at": {"$gt": now}}, {"$set": {**values, "metadata.expire_at": now + time}}
    )
    if not found.matched_count:
        raise FileLost("expected the file that is being written to be there still")
    return now + time


async def _drop_what_came(file_id: UUID) -> None:
    try:
        await gridfs.drop(File, file_id)
    except PyMongoError as exc:
        log.warning("Left an unfinished file to the sweep", file_id=str(file_id), reason=str(exc))


async def find(file_id: UUID, visible: dict[str, Any]) -> File:
    """Return a file that is the result of a task among the `visible` (MongoDB's filter). Raises NotFound."""
    file = await File.find_one({"_id": file_id, "metadata.expire_at": {"$gt": utc_now()}})
    if file is not None:
        task = {"_id": file.metadata.task_id, "status": TaskStatus.SUCCEEDED.value, "result.file_id": str(file_id)}
        if await Task.get_pymongo_collection().find_one({"$and": [task, visible]}, {"_id": 1}):
            return file
    raise NotFound("file", file_id)


async def sweep(now: datetime) -> int:
    """Remove up to 100 files whose time is over; return how many. Raises PyMongoError."""
    expired = await File.find({"metadata.expire_at": {"$lte": now}}).limit(BATCH).to_list()
    for file in expired:
        await gridfs.drop(File, file.id)
    return len(expired)
