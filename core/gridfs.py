"""Files in pieces as GridFS keeps them, so that nobody has to hold a whole one.

Knows a file's document by its class only: whose it is and when it goes is for those who use this.
https://github.com/mongodb/specifications/blob/master/source/gridfs/gridfs-spec.md
"""

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from beanie import Document
from pymongo import ASCENDING
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import PyMongoError

from core.errors import NotFound
from core.telemetry import get_logger

CHUNK_BYTES = 255 * 1024

log = get_logger(__name__)


def chunks(files: type[Document]) -> AsyncCollection[dict[str, object]]:
    """Return the collection that holds the pieces of these files."""
    collection = files.get_pymongo_collection()
    return collection.database[f"{collection.name.removesuffix('.files')}.chunks"]


async def write(files: type[Document], file_id: UUID, pieces: AsyncIterator[bytes]) -> int:
    """Store what `pieces` yields, each chunk as soon as it is full; return how many bytes there were."""
    collection = chunks(files)
    await collection.create_index([("files_id", ASCENDING), ("n", ASCENDING)], unique=True)
    pending, n, length = bytearray(), 0, 0
    async for piece in pieces:
        pending += piece
        length += len(piece)
        while len(pending) >= CHUNK_BYTES:
            await collection.insert_one({"files_id": file_id, "n": n, "data": bytes(pending[:CHUNK_BYTES])})
            del pending[:CHUNK_BYTES]
            n += 1
    if pending:
        await collection.insert_one({"files_id": file_id, "n": n, "data": bytes(pending)})
    return length


@asynccontextmanager
async def whole_or_nothing(files: type[Document], file_id: UUID) -> AsyncIterator[None]:
    """Remove a file if the block that writes it fails or is cancelled."""
    try:
        yield
    except BaseException:
        dropping = asyncio.create_task(_drop_what_came(files, file_id), name=f"drop file {file_id}")
        await asyncio.shield(dropping)
        raise


async def _drop_what_came(files: type[Document], file_id: UUID) -> None:
    try:
        await drop(files, file_id)
    except PyMongoError as exc:
        log.warning("Left an unfinished file to the sweep", file_id=str(file_id), reason=str(exc))


async def read(files: type[Document], file_id: UUID) -> AsyncGenerator[bytes, None]:
    """Yield a file chunk by chunk; each is asked for alone, so a reader may take its time. Raises NotFound.

    It may raise that on the way, too: when the file is removed meanwhile.
    """
    size = {"length": 1, "chunkSize": 1}
    stored = await files.get_pymongo_collection().find_one({"_id": file_id}, size)
    if stored is None:
        raise NotFound("file", file_id)
    for n in range(math.ceil(stored["length"] / stored["chunkSize"])):
        chunk = await chunks(files).find_one({"files_id": file_id, "n": n}, {"data": 1})
        if chunk is None:
            raise NotFound("file", file_id)
        yield bytes(chunk["data"])  # type: ignore[call-overload]  # It is what `write` has stored.


async def drop(files: type[Document], file_id: UUID) -> None:
    """Remove a file, whole or not; nothing where there is none.

    Its document goes last: whoever dies on the way leaves a file that can be found and removed again.
    """
    await chunks(files).delete_many({"files_id": file_id})
    await files.get_pymongo_collection().delete_one({"_id": file_id})
