"""Following tasks live."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated

import strawberry

from core.errors import NotFound
from core.ids import parse_id
from gateway.schema.fields import ContextInfo, subscription
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
    async def task_progress(
        self,
        info: ContextInfo,
        id: Annotated[strawberry.ID, strawberry.argument(description="The task's UUID.")],
        max_hz: Annotated[
            float | None,
            strawberry.argument(description="How often a second to tell of progress: more than 0, at most 60."),
        ] = DEFAULT_MAX_HZ,
    ) -> AsyncGenerator[TaskView, None]:
        relay = info.context.services.relay
        rate = DEFAULT_MAX_HZ if max_hz is None else max_hz
        async with aclosing(relay.follow(parse_id(id), max_hz=rate)) as snapshots:
            async for snapshot in snapshots:
                if snapshot.task.owner != info.context.owner:
                    raise NotFound("task", id)
                yield TaskView(snapshot.task, snapshot.delivery)
