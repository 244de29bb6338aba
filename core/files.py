"""Files that tasks make: written in pieces into GridFS, served at `/files/{id}`, removed when their time is over.

A file can be fetched once its task has succeeded with the file's id as `file_id` in its result, and never before. So
the task's own compare-and-set publishes it: no half file is ever seen, nor that of an attempt which lost its task.
Every attempt writes a file of its own. While it does, it renews the file's time; what a dead worker left is not renewed
and swept, at the latest after UNFINISHED_FOR. So is a whole file whose task did not succeed with it.
"""

import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from core import gridfs
from core.clock import utc_now
from core.documents import Task
from core.errors import NotFound
from core.file_document import File, FileState
from core.states import HELD, TaskStatus

KEPT_FOR = timedelta(days=1)
UNFINISHED_FOR = timedelta(minutes=10)
"""How long a file stays that nobody writes to any more."""
RENEW_EVERY_S = 5.0
BATCH = 100


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
    async with gridfs.whole_or_nothing(File, file.id):
        async with aclosing(_renewing(file.id, pieces)) as renewed:
            file.length = await gridfs.write(File, file.id, renewed)
        state.kept_until = utc_now() + KEPT_FOR
        await _keep(file.id, {"length": file.length, "metadata.kept_until": state.kept_until})
    return file


async def _renewing(file_id: UUID, pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Yield the pieces, and keep the file meanwhile; a writer whose file has gone hears of it before it writes on."""
    renewed_at = time.monotonic()
    async for piece in pieces:
        if time.monotonic() - renewed_at >= RENEW_EVERY_S:
            await _keep(file_id, {})
            renewed_at = time.monotonic()
        yield piece


async def _keep(file_id: UUID, values: dict[str, Any]) -> None:
    """Keep the file for UNFINISHED_FOR from now, with these values. Raises FileLost."""
    now = utc_now()
    found = await File.get_pymongo_collection().update_one(
        {"_id": file_id, "metadata.expire_at": {"$gt": now}},
        {"$set": {**values, "metadata.expire_at": now + UNFINISHED_FOR}},
    )
    if not found.matched_count:
        raise FileLost("expected the file that is being written to be there still")


async def find(file_id: UUID, visible: dict[str, Any]) -> File:
    """Return a file that is the result of a task among the `visible` (MongoDB's filter). Raises NotFound."""
    file = await File.find_one({"_id": file_id, "metadata.kept_until": {"$gt": utc_now()}})
    if file is not None:
        task = {"_id": file.metadata.task_id, "status": TaskStatus.SUCCEEDED.value, "result.file_id": str(file_id)}
        if await Task.get_pymongo_collection().find_one({"$and": [task, visible]}, {"_id": 1}):
            return file
    raise NotFound("file", file_id)


async def sweep(now: datetime) -> int:
    """Remove the unwanted among 100 files whose time is over; return how many. Raises PyMongoError."""
    dropped = 0
    for file in await File.find({"metadata.expire_at": {"$lte": now}}).limit(BATCH).to_list():
        until = await _wanted_until(file, now)
        if until > now:
            mine = {"_id": file.id, "metadata.expire_at": file.metadata.expire_at}
            await File.get_pymongo_collection().update_one(mine, {"$set": {"metadata.expire_at": until}})
        else:
            await gridfs.drop(File, file.id)
            dropped += 1
    return dropped


async def _wanted_until(file: File, now: datetime) -> datetime:
    """Return until when a file stays: as was told if it is its task's result, for a while if it may become that."""
    if file.metadata.kept_until is None:
        return now
    made = {"_id": file.metadata.task_id, "attempt": file.metadata.attempt}
    task = await Task.get_pymongo_collection().find_one(made, {"status": 1, "result.file_id": 1})
    if task is None:
        return now
    if task["status"] in HELD:
        return now + UNFINISHED_FOR
    return file.metadata.kept_until if (task.get("result") or {}).get("file_id") == str(file.id) else now
