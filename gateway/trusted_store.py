"""Trusted documents that are kept in MongoDB, where `headway documents` puts them; a replica looks every 10 s."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from hashlib import sha256

from pymongo.errors import PyMongoError

from core.cancellation import cancel_until_done
from core.documents import TrustedDocument
from core.telemetry import get_logger

EVERY_S = 10.0
READ_TIMEOUT_S = 5.0
MAX_DOCUMENTS = 10_000
MAX_CHARS = 131_072
"""Of one document; the edge reads no longer ones by default."""
MAX_TOTAL_CHARS = 32 * 1024 * 1024
"""Of all together: what a replica keeps of them in memory."""

log = get_logger(__name__)


class StoredDocuments:
    """The texts in MongoDB by the SHA-256 of their UTF-8, as they were at most `every_s` ago. One a replica."""

    every_s = EVERY_S

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    @asynccontextmanager
    async def followed(self) -> AsyncIterator[Mapping[str, str]]:
        """Yield the texts, kept up to date while the block runs; without MongoDB they stay as they are."""
        await self._refresh()
        following = asyncio.create_task(self._follow(), name="trusted documents in MongoDB")
        try:
            yield self.texts
        finally:
            await cancel_until_done([following])

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(self.every_s)
            await self._refresh()

    async def _refresh(self) -> None:
        try:
            async with asyncio.timeout(READ_TIMEOUT_S):
                await self._read()
        except (PyMongoError, TimeoutError, OSError) as exc:
            log.warning("Trusted documents could not be read; the known ones stay", reason=str(exc))

    async def _read(self) -> None:
        """Take over what was added and removed. The texts of known ones, which can't change, are not read again."""
        collection = TrustedDocument.get_pymongo_collection()
        listed = await collection.find({}, {"_id": 1}).sort("_id").limit(MAX_DOCUMENTS).to_list()
        present = {document["_id"] for document in listed if isinstance(document["_id"], str)}
        for gone in self.texts.keys() - present:
            del self.texts[gone]
        room = MAX_TOTAL_CHARS - sum(map(len, self.texts.values()))
        async for document in collection.find({"_id": {"$in": sorted(present - self.texts.keys())}}):
            ident, text = document["_id"], document.get("text")
            if not isinstance(text, str) or len(text) > min(room, MAX_CHARS) or digest(text) != ident:
                log.warning("Left out a document that is too long or not what its id says", document=str(ident)[:64])
                continue
            self.texts[ident] = text
            room -= len(text)


def digest(text: str) -> str:
    """Return the id of a document: the hexadecimal SHA-256 of its UTF-8."""
    return sha256(text.encode()).hexdigest()
