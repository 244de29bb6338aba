"""One leader among the bridges, by a lease in MongoDB that is renewed every second."""

from datetime import datetime, timedelta
from typing import Any

from pymongo import ReturnDocument
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import DuplicateKeyError

from core.clock import utc_now
from jobs.metrics import LEADS

LEADER_LEASE_S = 3.0
LEASE_ID = "reconciler"


class Leadership:
    """This bridge's claim to lead. `collection` is the `leases` collection of the database."""

    def __init__(self, collection: AsyncCollection[dict[str, Any]], name: str) -> None:
        self._collection = collection
        self._name = name
        self.leads = False
        """What MongoDB said last; False if it did not answer."""

    async def hold(self) -> datetime | None:
        """Take or renew the lease; return until when the one before it ran (the beginning of time if there was none),
        or None if another bridge leads. Raises PyMongoError."""
        before = None
        try:
            before = await self._take()
        finally:
            self.leads = before is not None
            LEADS.set(self.leads)
        return before

    async def _take(self) -> datetime | None:
        now = utc_now()
        try:
            before = await self._collection.find_one_and_update(
                {"_id": LEASE_ID, "$or": [{"holder": self._name}, {"until": {"$lt": now}}]},
                {"$set": {"holder": self._name, "until": now + timedelta(seconds=LEADER_LEASE_S)}},
                upsert=True,
                return_document=ReturnDocument.BEFORE,
            )
        except DuplicateKeyError:
            return None
        if before is None:
            return datetime.min.replace(tzinfo=now.tzinfo)
        until: datetime = before["until"]
        return until

    async def resign(self) -> None:
        """Let another bridge lead at once."""
        await self._collection.update_one({"_id": LEASE_ID, "holder": self._name}, {"$set": {"until": utc_now()}})
