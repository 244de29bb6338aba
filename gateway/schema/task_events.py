"""What `taskEvents` tells: the interface of events, its four types, and what the schema shows of each."""

from collections.abc import Hashable
from datetime import datetime
from typing import Any

import strawberry
from graphql import GraphQLResolveInfo

from core.documents import TaskFailure
from core.events import Logged, Progressed, StateChanged
from gateway.relay.history import Gap, Told
from gateway.schema.enums import Delivery, TaskStatus
from gateway.schema.task_view import ProgressView
from gateway.schema.tasks import Progress, TaskError

TYPE_NAMES: dict[type, str] = {
    StateChanged: "StateChanged",
    Progressed: "Progressed",
    Logged: "Logged",
    Gap: "Gap",
}
MISSING = {
    Delivery.LIVE: "The live stream no longer holds what was told here, if anything was, or never got it.",
    Delivery.DEGRADED: "The live stream is away; ask again with this `after` when it is back.",
}


class TaskEventView:
    """An event under the names of the schema; what is not here by another name is the event's own attribute."""

    __slots__ = ("told",)

    def __init__(self, told: Told) -> None:
        self.told = told

    @property
    def _event(self) -> Any:
        """Whichever event it is: only the fields of its type are asked for."""
        return self.told.event

    def __getattr__(self, name: str) -> Any:
        return getattr(self.told.event, name)

    @property
    def told_to_all(self) -> Hashable:
        """The key of what all followers of the task are told."""
        return self.told

    @property
    def at(self) -> datetime:
        return self.told.event.at

    @property
    def attempt(self) -> int:
        return self.told.event.attempt

    @property
    def cursor(self) -> str:
        return str(self.told.cursor)

    @property
    def delivery(self) -> Delivery:
        return self.told.delivery

    @property
    def error(self) -> TaskFailure | None:
        event = self._event
        return (
            None if event.error_code is None else TaskFailure(code=event.error_code, message=event.error_message or "")
        )

    @property
    def progress(self) -> ProgressView:
        return ProgressView(self._event)  # It has what a stored progress has.

    @property
    def after(self) -> str:
        return str(self._event.after)

    @property
    def before(self) -> str:
        return str(self._event.before)

    @property
    def why(self) -> str:
        return MISSING[self.told.delivery]


@strawberry.interface(name="TaskEvent", description="Something that happened to a task.")
class TaskEventType:
    """Its source is a TaskEventView."""

    sources = (TaskEventView,)
    is_told_by_source = True
    """For plans: `resolve_type` looks at nothing but its source, so nothing else is made for it."""

    cursor: str = strawberry.field(
        description="Its id, `epoch-n`, for `after`. Of two, the greater pair of numbers is newer."
    )
    at: datetime = strawberry.field(description="When it happened.")
    attempt: int = strawberry.field(description="The attempt it belongs to, 0 before the first.")
    delivery: Delivery = strawberry.field(description="How this news arrived.")

    @classmethod
    def resolve_type(cls, source: Any, _info: GraphQLResolveInfo[Any] | None, _type: Any) -> str | None:
        """Tell graphql-core which object type an event has."""
        return TYPE_NAMES[type(source.told.event)]

    @classmethod
    def is_type_of(cls, source: Any, info: GraphQLResolveInfo[Any]) -> bool:
        """Tell graphql-core whether a value is of the object type that this class became."""
        definition = cls.__strawberry_definition__  # type: ignore[attr-defined]
        return bool(cls.resolve_type(source, info, None) == definition.name)


@strawberry.type(name="StateChanged", description="The task took another status. Never lost: it is stored with it.")
class StateChangedType(TaskEventType):
    """Its event is a StateChanged."""

    status: TaskStatus = strawberry.field(description="The status that it took.")
    by: str = strawberry.field(description="Which part of the system made the change.")
    reason: str | None = strawberry.field(description="Why, where that needs saying.")
    error: TaskError | None = strawberry.field(description="What went wrong, where something did.")


@strawberry.type(
    name="Progressed",
    description="The running attempt moved on. It is told at most 20 times a second, and then the latest.",
)
class ProgressedType(TaskEventType):
    """Its event is a Progressed."""

    progress: Progress = strawberry.field(description="How far the attempt is.")


@strawberry.type(name="Logged", description="The running attempt said something.")
class LoggedType(TaskEventType):
    """Its event is a Logged."""

    text: str = strawberry.field(description="What it said.")


@strawberry.type(
    name="Gap",
    description="Progress or log lines are missing here, or may be: about the last 256 events of a task are kept, and "
    "for an hour after its end. `cursor` lies in the gap, `at` is when it was noticed, `attempt` is the next event's.",
)
class GapType(TaskEventType):
    """Its event is a Gap."""

    after: str = strawberry.field(description="The last event before what is missing; `0-0` if there is none.")
    before: str = strawberry.field(description="The first event after what is missing.")
    why: str = strawberry.field(description="Why it is missing, for people.")


EVENT_TYPES = (StateChangedType, ProgressedType, LoggedType, GapType)
