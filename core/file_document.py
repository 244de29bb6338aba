"""What is stored of a file that a task made, beside its pieces."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from beanie import Document
from pydantic import BaseModel, Field
from pymongo import ASCENDING, IndexModel

from core.clock import utc_now
from core.ids import new_id


class FileState(BaseModel):
    """Which attempt of which task made a file, what it is, and until when it is there.

    `kept_until` is None while it is being written. At `expire_at` the sweep looks whether it is wanted still.
    """

    task_id: UUID
    attempt: int
    media_type: str
    expire_at: datetime
    kept_until: datetime | None = None


class File(Document):
    """A file that a task made: the GridFS file document, under the names of its spec."""

    id: UUID = Field(default_factory=new_id)  # type: ignore[assignment]  # Beanie's own default is an ObjectId.
    length: int = 0
    chunkSize: int
    uploadDate: datetime = Field(default_factory=utc_now)
    filename: str
    metadata: FileState

    class Settings:
        name = "files.files"
        indexes: ClassVar = [
            IndexModel([("metadata.expire_at", ASCENDING)]),
            IndexModel([("metadata.task_id", ASCENDING)]),
        ]
