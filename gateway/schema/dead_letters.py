"""Dead letters: listing them, sending them again and discarding them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import strawberry
from strawberry import UNSET

from core import documents
from core.ids import parse_id
from gateway.dead_letters import DeadLetters
from gateway.guard.directives import SCAN_WEIGHT, Cost, page_size
from gateway.schema.control import retrier
from gateway.schema.fields import ContextInfo, mutation, query
from gateway.schema.paging import (
    AFTER_HELP,
    DEFAULT_FIRST,
    FIRST_HELP,
    ID,
    MAX_FIRST,
    Order,
    Page,
    PageInfo,
    count,
    moment_key,
    read_page,
)
from gateway.schema.task_view import TaskView
from gateway.schema.tasks import TaskType

NEWEST_FIRST = Order("LETTERS", (moment_key("at"), ID), -1)
LetterId = Annotated[strawberry.ID, strawberry.argument(description="The dead letter's UUID.")]


def _text(root: documents.DeadLetter) -> str | None:
    return root.body.decode(errors="replace") if root.task_id is None else None


@strawberry.type(
    name="DeadLetter",
    description="What could not become a running task: a broker message that nobody could read, or a task whose kind "
    "the worker did not know. It is kept for 30 days.",
)
class DeadLetterType:
    """Its source is a documents.DeadLetter."""

    id: strawberry.ID = strawberry.field(description="The UUID that names it.")
    at: datetime = strawberry.field(description="When it was put here.")
    reason: str = strawberry.field(description="Why it could not be run.")
    queue: str | None = strawberry.field(description="The broker queue that the message came from; null for a task.")
    size: int = strawberry.field(description="Bytes of the message; 0 for a task.")
    is_complete: bool = strawberry.field(description="Whether all of it is kept; of a longer one, 64 KB are.")
    text: str | None = strawberry.field(
        resolver=_text, description="What is kept of the message, with U+FFFD for what is not UTF-8; null for a task."
    )
    task_id: strawberry.ID | None = strawberry.field(description="The task that failed; null for a message.")


@strawberry.type(description="A dead letter and its place in the list.")
class DeadLetterEdge:
    """Relay's edge."""

    node: DeadLetterType = strawberry.field(description="The dead letter.")
    cursor: str = strawberry.field(description="Its place in this order, for `after`.")


@strawberry.type(description="A page of dead letters.")
class DeadLetterConnection:
    """Relay's connection; its source is a Page."""

    edges: list[DeadLetterEdge] = strawberry.field(description="The page's dead letters, each with its cursor.")
    nodes: list[DeadLetterType] = strawberry.field(description="The page's dead letters.")
    page_info: PageInfo = strawberry.field(description="Whether and where the list goes on.")
    total_count: int = strawberry.field(
        resolver=count,
        description="How many there are; counted only when asked for.",
        directives=[Cost(weight=SCAN_WEIGHT)],
    )


@dataclass(frozen=True)
class ResentView:
    """A dead letter that is gone."""

    id: str
    task: TaskView | None


@strawberry.type(name="ResentDeadLetter", description="What became of a dead letter that was sent again.")
class ResentDeadLetterType:
    """Its source is a ResentView."""

    id: strawberry.ID = strawberry.field(description="The dead letter that is gone.")
    task: TaskType | None = strawberry.field(description="The new task where it was a task; null for a message.")


def _view(document: dict[str, Any]) -> documents.DeadLetter:
    letter: documents.DeadLetter = documents.DeadLetter.model_validate(document)
    return letter


def _letters(info: ContextInfo) -> DeadLetters:
    services = info.context.services
    return DeadLetters(services.publisher, retrier(services), services.settings.namespace)


@strawberry.type
class DeadLetterQuery:
    """The root that lists dead letters."""

    @query(
        DeadLetterConnection,
        "Messages that nobody could read, and tasks of an unknown kind, the latest first.",
        page_size(DEFAULT_FIRST, MAX_FIRST),
    )
    async def dead_letters(
        self,
        info: ContextInfo,
        first: Annotated[int | None, strawberry.argument(description=FIRST_HELP)] = DEFAULT_FIRST,
        after: Annotated[str | None, strawberry.argument(description=AFTER_HELP)] = UNSET,
    ) -> Page[documents.DeadLetter]:
        collection = documents.DeadLetter.get_pymongo_collection()
        return await read_page(collection, {}, NEWEST_FIRST, first=first, after=after, view=_view)


@strawberry.type
class DeadLetterMutation:
    """The mutations of dead letters."""

    @mutation(
        ResentDeadLetterType,
        description="Send a dead letter again: a message to the queue it came from, where it comes back as a new dead "
        "letter if it is still unreadable; a task as `retryTask` does. NOT_FOUND if there is none with this id, "
        "CONFLICT if the message is kept only in part or the task's kind is still not installed.",
    )
    async def resend_dead_letter(self, info: ContextInfo, id: LetterId) -> ResentView:
        context = info.context
        task = await _letters(info).resend(parse_id(id), correlation_id=context.correlation_id)
        return ResentView(str(parse_id(id)), TaskView(task, context.services.relay.delivery) if task else None)

    @mutation(
        strawberry.ID,
        description="Discard a dead letter and return its id; a task that it is about stays as it is. NOT_FOUND if "
        "there is none with this id.",
    )
    async def discard_dead_letter(self, info: ContextInfo, id: LetterId) -> strawberry.ID:
        await _letters(info).discard(parse_id(id))
        return strawberry.ID(str(parse_id(id)))
