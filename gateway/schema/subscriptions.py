"""Following tasks live."""

from collections.abc import AsyncIterable
from typing import Annotated

import strawberry
from strawberry import UNSET

from core.errors import NotFound
from core.events import Cursor
from core.ids import parse_id
from gateway.relay import Snapshot
from gateway.relay.history import BEFORE_ALL, Told
from gateway.schema.fields import ContextInfo, subscription
from gateway.schema.task_events import TaskEventType, TaskEventView
from gateway.schema.task_view import TaskView
from gateway.schema.tasks import TaskType

DEFAULT_MAX_HZ = 10.0


@strawberry.type
class TaskSubscription:
    """The root that follows tasks."""

    @subscription(
        TaskType,
        description="Follow a task: first as it stands, then whenever it moves, and its end exactly once; then it "
        "completes. Of progress you get the latest, no more often than you ask for; no status is late or lost.",
    )
    def task_progress(
        self,
        info: ContextInfo,
        id: Annotated[strawberry.ID, strawberry.argument(description="The task's UUID.")],
        max_hz: Annotated[
            float | None,
            strawberry.argument(description="How often a second to tell of progress: more than 0, at most 60."),
        ] = DEFAULT_MAX_HZ,
    ) -> AsyncIterable[TaskView]:
        context = info.context
        following = context.services.relay.follow(parse_id(id), max_hz=DEFAULT_MAX_HZ if max_hz is None else max_hz)

        def show(snapshot: Snapshot) -> TaskView:
            if not context.principal.may_see(snapshot.task.owner):
                raise NotFound("task", snapshot.task.id)  # In the very words of one that does not exist.
            context.cursor = snapshot.task.cursor
            return TaskView(snapshot.task, snapshot.delivery)

        return following.shown(show)

    @subscription(
        TaskEventType,
        description="Follow every event of a task, each once and in order, to its end; then it completes. Without "
        "`after` it begins with the submit. To go on after a break, at any replica, give the last cursor you saw. "
        "Where progress or log lines are no longer to be had, a Gap says so; changes of status are always told. A "
        "cursor of an epoch that the task has not reached is BAD_USER_INPUT.",
    )
    def task_events(
        self,
        info: ContextInfo,
        id: Annotated[strawberry.ID, strawberry.argument(description="The task's UUID.")],
        after: Annotated[
            str | None, strawberry.argument(description="The cursor of the last event you have, or of a task.")
        ] = UNSET,
    ) -> AsyncIterable[TaskEventView]:
        context = info.context
        last = BEFORE_ALL if after is None or after is UNSET else Cursor.parse(after)
        following = context.services.relay.follow_events(parse_id(id), after=last, may_see=context.principal.may_see)

        def show(told: Told) -> TaskEventView:
            context.cursor = told.cursor
            return TaskEventView(told)

        return following.shown(show)
