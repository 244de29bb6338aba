"""Following all tasks that match a filter."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated

import strawberry
from strawberry import UNSET

from gateway.relay.board_filter import BoardFilter
from gateway.relay.board_slot import LOOK_BACK_S, WAITING_LIMIT
from gateway.schema.fields import ContextInfo, subscription
from gateway.schema.selection import selects
from gateway.schema.task_view import TaskView
from gateway.schema.tasks import LARGE_FIELDS, TaskFilter, TaskType

DEFAULT_MAX_HZ = 4.0


@strawberry.type
class BoardSubscription:
    """The root that follows many tasks at once."""

    @subscription(
        TaskType,
        description="Follow all tasks that match a filter: each time one is submitted, changes its status or moves on, "
        "it is told as it is then. One that no longer matches is told once more, so that it can be taken off the "
        f"board. It begins with what changed in the last {LOOK_BACK_S:g} s: subscribe, list `tasks` with the same "
        "filter, and of two answers about a task keep the one with the greater `cursor`; then nothing is missed. Do so "
        "again after a disconnect. It does not complete; if you read so slowly that more than "
        f"{WAITING_LIMIT:,} tasks wait for you, it ends with FELL_BEHIND.",
    )
    async def tasks_changed(
        self,
        info: ContextInfo,
        filter: Annotated[TaskFilter | None, strawberry.argument(description="Which tasks; null means all.")] = UNSET,
        max_hz: Annotated[
            float | None,
            strawberry.argument(description="How often a second to tell of a task: more than 0, at most 60."),
        ] = DEFAULT_MAX_HZ,
    ) -> AsyncGenerator[TaskView, None]:
        shown = BoardFilter([info.context.principal.visible, *(filter.conditions() if filter else ())])
        boards = info.context.services.relay.boards
        rate = DEFAULT_MAX_HZ if max_hz is None else max_hz
        async with aclosing(boards.follow(shown, max_hz=rate, whole=selects(info, LARGE_FIELDS))) as snapshots:
            async for snapshot in snapshots:
                yield TaskView(snapshot.task, snapshot.delivery)
