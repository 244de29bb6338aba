"""Cancelling tasks and trying ended ones again, one by one or by filter."""

from typing import Annotated

import strawberry
from strawberry import UNSET

from core.ids import parse_id
from gateway.bulk import BULK_LIMIT, BulkOutcome
from gateway.cancel import MAX_REASON_CHARS, Canceller
from gateway.context import Services
from gateway.guard.directives import BULK_WEIGHT
from gateway.retry import Retrier, default_statuses
from gateway.schema.fields import ContextInfo, mutation
from gateway.schema.task_view import TaskView
from gateway.schema.tasks import TaskFilter, TaskType

TaskId = Annotated[strawberry.ID, strawberry.argument(description="The task's UUID.")]
Reason = Annotated[
    str | None,
    strawberry.argument(description=f"Why, for `cancelReason`: at most {MAX_REASON_CHARS} characters."),
]
Filter = Annotated[
    TaskFilter,
    strawberry.argument(description="Which of your tasks, or of everybody's if you are an admin; `{}` means all."),
]
DryRun = Annotated[bool | None, strawberry.argument(description="Change nothing, only count.")]


@strawberry.type(name="BulkResult", description="What a change by filter came to.")
class BulkResultType:
    """Its source is a BulkOutcome."""

    matched: int = strawberry.field(description="Tasks that it applied to when the call came.")
    changed: int = strawberry.field(description="Tasks that it changed; 0 in a dry run.")
    has_more: bool = strawberry.field(
        description=f"Whether more match than the {BULK_LIMIT:,} that one call changes: then call again."
    )


def canceller(services: Services) -> Canceller:
    """Return what cancels tasks with these services."""
    return Canceller(services.redis, services.streams, services.settings.namespace)


def retrier(services: Services) -> Retrier:
    """Return what retries tasks with these services."""
    return Retrier(services.submitter, services.kinds)


@strawberry.type
class ControlMutation:
    """The mutations that stop and repeat tasks."""

    @mutation(
        TaskType,
        description="Cancel a task. One that no worker holds is CANCELLED in the answer; of one that runs, the wish is "
        "stored in the answer, and its worker makes it CANCELLING, then CANCELLED (or SUCCEEDED, if it came too late; "
        "with the error FORCED, if its code does not yield within 5 s). Cancelling again is harmless, the first reason "
        "stays; a task that has ended is returned unchanged. NOT_FOUND if there is none with this id.",
    )
    async def cancel_task(self, info: ContextInfo, id: TaskId, reason: Reason = UNSET) -> TaskView:
        services = info.context.services
        task = await canceller(services).cancel(parse_id(id), reason or None, visible=info.context.principal.visible)
        return TaskView(task, services.relay.delivery)

    @mutation(
        TaskType,
        description="Submit an ended task again: a new task with the same kind, input, priority, timeout and attempts, "
        "its `retryOf` being this id. It starts at once and keeps a deadline that has not passed; it has no "
        "idempotency key and belongs to no batch. CONFLICT if the task has not ended, or its kind is not installed.",
    )
    async def retry_task(self, info: ContextInfo, id: TaskId) -> TaskView:
        context = info.context
        visible, correlation_id = context.principal.visible, context.correlation_id
        task = await retrier(context.services).retry(parse_id(id), visible=visible, correlation_id=correlation_id)
        return TaskView(task, context.services.relay.delivery)

    @mutation(
        BulkResultType,
        description=f"Cancel the tasks that match, up to {BULK_LIMIT:,} a call, the oldest first, each as `cancelTask` "
        "does. Tasks that have ended, or were asked before, do not count.",
        weight=BULK_WEIGHT,
    )
    async def cancel_tasks(
        self, info: ContextInfo, filter: Filter, reason: Reason = UNSET, dry_run: DryRun = False
    ) -> BulkOutcome:
        conditions = [info.context.principal.visible, *filter.conditions()]
        return await canceller(info.context.services).cancel_all(conditions, reason or None, dry_run=bool(dry_run))

    @mutation(
        BulkResultType,
        description=f"Retry the ended tasks that match, up to {BULK_LIMIT:,} a call, the oldest first, each as "
        "`retryTask` does. Without `statuses` in the filter, those that FAILED, EXPIRED or were CANCELLED. Tasks that "
        "were retried before, or whose kind is not installed, do not count; one whose kind no longer takes its input "
        "counts as matched only.",
        weight=BULK_WEIGHT,
    )
    async def retry_tasks(self, info: ContextInfo, filter: Filter, dry_run: DryRun = False) -> BulkOutcome:
        context = info.context
        conditions = [context.principal.visible, *default_statuses(filter.conditions())]
        return await retrier(context.services).retry_all(
            conditions, dry_run=bool(dry_run), correlation_id=context.correlation_id
        )
