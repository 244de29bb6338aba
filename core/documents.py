"""The collections: what is stored of an item and of a task, and the indexes that their queries need."""

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

from beanie import Document
from pydantic import BaseModel, Field
from pymongo import ASCENDING, DESCENDING, IndexModel

from core.clock import utc_now
from core.events import Cursor, StateChanged
from core.file_document import File
from core.ids import new_id
from core.moments import EARLIEST
from core.states import Priority, TaskStatus

FINISHED_TASK_TTL_S = 30 * 24 * 3600
DEAD_LETTER_TTL_S = 30 * 24 * 3600
BATCH_TTL_S = 400 * 24 * 3600
"""Its last task may start 366 days after the submit and is kept for 30 days after its end."""


class Item(Document):
    """A thing in the catalogue. `metadata` is free: names to JSON values."""

    id: UUID = Field(default_factory=new_id)  # type: ignore[assignment]  # Beanie's own default is an ObjectId.
    name: str
    description: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    created_at: datetime = Field(default_factory=utc_now)
    updated_at: datetime = Field(default_factory=utc_now)

    class Settings:
        name = "items"
        indexes: ClassVar = [
            IndexModel([("name", ASCENDING), ("_id", ASCENDING)]),
            IndexModel([("created_at", DESCENDING), ("_id", DESCENDING)]),
            IndexModel([("updated_at", DESCENDING), ("_id", DESCENDING)]),
        ]


class TaskFailure(BaseModel):
    """Why a task did not succeed: a stable code and a sentence."""

    code: str
    message: str


class TaskProgress(BaseModel):
    """How far the latest attempt is, as of event `n` of its epoch."""

    current: int = 0
    total: int | None = None
    message: str | None = None


class TimelineEntry(BaseModel):
    """One change of status with the id of its event: enough to rebuild the event when Redis lost it."""

    epoch: int
    n: int
    at: datetime
    attempt: int
    status: TaskStatus
    by: str = ""
    reason: str | None = None
    error_code: str | None = None
    error_message: str | None = None

    @property
    def cursor(self) -> Cursor:
        """The event's id."""
        return Cursor(self.epoch, self.n)

    def event(self) -> StateChanged:
        """Return the event that this change published."""
        return StateChanged(
            at=self.at,
            attempt=self.attempt,
            status=self.status,
            by=self.by,
            reason=self.reason,
            error_code=self.error_code,
            error_message=self.error_message,
        )


class Lease(BaseModel):
    """Who runs the attempt, and until when it is taken for alive without another beat."""

    worker: str
    until: datetime


class Task(Document):
    """One task from its submit to its end. `epoch` and `n` are the id of the latest event told of in this document."""

    __getattribute__ = object.__getattribute__  # Beanie's looks at each access if it is the first: no task is lazy.

    id: UUID = Field(default_factory=new_id)  # type: ignore[assignment]  # Beanie's own default is an ObjectId.
    kind: str
    owner: str = "local"
    status: TaskStatus
    priority: Priority = Priority.NORMAL
    input: dict[str, Any]
    result: dict[str, Any] | None = None
    error: TaskFailure | None = None
    progress: TaskProgress = Field(default_factory=TaskProgress)
    progress_at: datetime | None = None

    epoch: int = 1
    n: int = 1
    attempt: int = 0
    failures: int = 0
    crashes: int = 0
    max_attempts: int
    timeout_s: float
    claim: str | None = None
    lease: Lease | None = None
    worker_seen_at: datetime | None = None
    checkpoint: Any = None

    created_at: datetime = Field(default_factory=utc_now)
    status_at: datetime = Field(default_factory=utc_now)
    published_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    run_at: datetime | None = None
    deadline: datetime | None = None
    expire_at: datetime | None = None

    idempotency_key: str | None = None
    cancel_requested_at: datetime | None = None
    cancel_reason: str | None = None
    retry_of: UUID | None = None
    batch_id: UUID | None = None
    correlation_id: str | None = None
    trace: str | None = None
    timeline: list[TimelineEntry] = Field(default_factory=list)

    @property
    def cursor(self) -> Cursor:
        """The id of the latest event that this document tells of."""
        return Cursor(self.epoch, self.n)

    class Settings:
        name = "tasks"
        indexes: ClassVar = [
            IndexModel(
                [("owner", ASCENDING), ("idempotency_key", ASCENDING)],
                unique=True,
                partialFilterExpression={"idempotency_key": {"$type": "string"}},
            ),
            IndexModel([("status", ASCENDING), ("priority", ASCENDING), ("_id", ASCENDING)]),
            IndexModel([("kind", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("owner", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("batch_id", ASCENDING), ("_id", ASCENDING)], sparse=True),
            IndexModel([("retry_of", ASCENDING)]),
            IndexModel([("input.content_id", ASCENDING)], sparse=True),
            IndexModel(  # A task leaves it with its first change, and later ones cost it nothing.
                [(field, ASCENDING) for field in ("priority", "status", "published_at", "status_at")],
                partialFilterExpression={"status": TaskStatus.PENDING.value},
            ),
            IndexModel([("status", ASCENDING), ("status_at", ASCENDING)]),
            *(
                IndexModel(
                    [("status", ASCENDING), (field, ASCENDING)], partialFilterExpression={field: {"$gt": EARLIEST}}
                )
                for field in ("run_at", "deadline", "lease.until", "cancel_requested_at")
            ),
            IndexModel([("expire_at", ASCENDING)], expireAfterSeconds=0),
        ]


class Batch(Document):
    """Tasks that were submitted together; they name it, so it holds no list of them and never changes."""

    id: UUID = Field(default_factory=new_id)  # type: ignore[assignment]  # Beanie's own default is an ObjectId.
    owner: str = "local"
    total: int
    created_at: datetime = Field(default_factory=utc_now)

    class Settings:
        name = "batches"
        indexes: ClassVar = [IndexModel([("created_at", ASCENDING)], expireAfterSeconds=BATCH_TTL_S)]


class DeadLetter(Document):
    """What could not become a running task, with why: a broker message that is unreadable, or a task of unknown kind.

    The letter of a task has the task's id; its body is empty and its owner the task's. `body` is the message's first
    64 KB.
    """

    id: UUID = Field(default_factory=new_id)  # type: ignore[assignment]  # Beanie's own default is an ObjectId.
    reason: str
    queue: str | None = None
    body: bytes = b""
    size: int = 0
    digest: str | None = None
    task_id: UUID | None = None
    owner: str | None = None
    at: datetime = Field(default_factory=utc_now)

    @property
    def is_complete(self) -> bool:
        """Whether the whole message is kept."""
        return len(self.body) == self.size

    class Settings:
        name = "dead_letters"
        indexes: ClassVar = [
            IndexModel([("at", DESCENDING), ("_id", DESCENDING)]),
            IndexModel([("digest", ASCENDING)]),
            IndexModel([("at", ASCENDING)], expireAfterSeconds=DEAD_LETTER_TTL_S),
        ]


class Role(StrEnum):
    """What a principal may do; each may what those before it may, too."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


class ApiKey(Document):
    """A key that stands for an owner and a role. The secret itself is not kept, only its SHA-256 digest."""

    id: str  # type: ignore[assignment]  # The public part of the key, by which it is found.
    digest: bytes
    name: str
    owner: str
    role: Role
    created_at: datetime = Field(default_factory=utc_now)
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    class Settings:
        name = "api_keys"


class TrustedDocument(Document):
    """A GraphQL document that clients may ask for by its id, the hexadecimal SHA-256 of its UTF-8."""

    id: str = Field()  # type: ignore[assignment]  # Beanie's own default is an ObjectId.
    name: str
    text: str
    added_at: datetime = Field(default_factory=utc_now)

    class Settings:
        name = "trusted_documents"


class ContentState(BaseModel):
    """Whose a content is, and what has become of it. After `expire_at` it goes unless a task's input names it.

    `is_used` is noted late: some task named it, as its owner's next upload found.
    """

    owner: str
    is_complete: bool = False
    is_used: bool = False
    expire_at: datetime


class Content(Document):
    """A file that was uploaded for a task's input to name: the GridFS file document, under the names of its spec."""

    id: UUID = Field(default_factory=new_id)  # type: ignore[assignment]  # Beanie's own default is an ObjectId.
    length: int = 0
    chunkSize: int
    uploadDate: datetime = Field(default_factory=utc_now)
    metadata: ContentState

    class Settings:
        name = "contents.files"
        indexes: ClassVar = [
            IndexModel([("metadata.expire_at", ASCENDING)]),
            IndexModel([("metadata.owner", ASCENDING), ("metadata.is_used", ASCENDING)]),
        ]


DOCUMENTS = (Item, Task, Batch, DeadLetter, Content, File, ApiKey, TrustedDocument)
