"""Files that a task's input names by id instead of holding them: uploaded in pieces, kept in GridFS, read in pieces.

A content stays while a task's input names it under `content_id`, and for an hour after its upload or its last submit.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from datetime import datetime, timedelta
from uuid import UUID

from core import gridfs
from core.clock import utc_now
from core.documents import Content, ContentState, Task
from core.errors import NotFound

UNUSED_FOR = timedelta(hours=1)
LOOK_AGAIN_AFTER = timedelta(days=1)
"""How long a content outlives the last task that named it, at most."""
BATCH = 100


async def store(owner: str, pieces: AsyncIterator[bytes]) -> Content:
    """Keep what `pieces` yields, writing each chunk as it comes. If that fails or is cancelled, nothing is left."""
    now = utc_now()
    state = ContentState(owner=owner, expire_at=now + UNUSED_FOR)
    content = Content(chunkSize=gridfs.CHUNK_BYTES, uploadDate=now, metadata=state)
    await content.insert()
    async with gridfs.whole_or_nothing(Content, content.id):
        content.length = await gridfs.write(Content, content.id, pieces)
        await Content.get_pymongo_collection().update_one(
            {"_id": content.id}, {"$set": {"length": content.length, "metadata.is_complete": True}}
        )
    return content


async def claim(content_id: UUID, owner: str) -> None:
    """Keep the owner's content for another hour, so that a task which is about to be stored may name it.

    Nothing has to be given back when no task comes of it. Raises NotFound.
    """
    found = await Content.get_pymongo_collection().update_one(
        {"_id": content_id, "metadata.owner": owner, "metadata.is_complete": True},
        {"$set": {"metadata.expire_at": utc_now() + UNUSED_FOR}},
    )
    if not found.matched_count:
        raise NotFound("content", content_id)


async def count_unused(owner: str) -> int:
    """Return how many contents of the owner no task has named yet. Notes which have been named since."""
    collection = Content.get_pymongo_collection()
    kept = await collection.find({"metadata.owner": owner, "metadata.is_used": False}, {"_id": 1}).to_list()
    ids = [str(content["_id"]) for content in kept]
    if not ids:
        return 0
    named = await Task.get_pymongo_collection().distinct("input.content_id", {"input.content_id": {"$in": ids}})
    if named:
        await collection.update_many(
            {"_id": {"$in": [UUID(ident) for ident in named]}}, {"$set": {"metadata.is_used": True}}
        )
    return len(ids) - len(named)


def read(content_id: UUID) -> AsyncGenerator[bytes, None]:
    """Yield the content piece by piece. Raises NotFound, when it is asked for the first."""
    return gridfs.read(Content, content_id)


async def sweep(now: datetime) -> int:
    """Remove up to 100 contents whose time is over and that no task names; return how many. Raises PyMongoError."""
    dropped = 0
    for content in await Content.find({"metadata.expire_at": {"$lte": now}}).limit(BATCH).to_list():
        mine = {"_id": content.id, "metadata.expire_at": content.metadata.expire_at}
        if await Task.get_pymongo_collection().find_one({"input.content_id": str(content.id)}, {"_id": 1}):
            await Content.get_pymongo_collection().update_one(
                mine, {"$set": {"metadata.expire_at": now + LOOK_AGAIN_AFTER}}
            )
            continue
        # From here on no submit can claim it; one that did meanwhile has moved its time on.
        taken = await Content.get_pymongo_collection().update_one(mine, {"$set": {"metadata.is_complete": False}})
        if taken.matched_count:
            await gridfs.drop(Content, content.id)
            dropped += 1
    return dropped
