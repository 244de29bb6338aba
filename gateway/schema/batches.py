"""Batches of tasks: submitting, reading and following them."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime
from typing import Annotated, Any

import strawberry
from strawberry import UNSET

from core import documents
from core.errors import BadUserInput
from core.ids import new_id, parse_id
from gateway.batches import MAX_BATCH, RATE_WINDOW_S, RollUp, find_batch, roll_up, submit_batch
from gateway.guard.directives import SCAN_WEIGHT, Cost, ListSize, page_size
from gateway.inputs import check_input
from gateway.schema.enums import TaskStatus
from gateway.schema.fields import ContextInfo, mutation, query, subscription
from gateway.schema.options import OPTIONS_HELP, TaskOptions
from gateway.schema.paging import AFTER_HELP, DEFAULT_FIRST, FIRST_HELP, MAX_FIRST, Page
from gateway.schema.scalars import JSON
from gateway.schema.task_queries import read_tasks
from gateway.schema.task_view import TaskView
from gateway.schema.tasks import TaskConnection, TaskFilter, TaskOrder
from gateway.submit import new_task

DEFAULT_MAX_HZ = 2.0
YIELD_EVERY = 50
"""Tasks that are validated without letting the event loop go on."""

BatchId = Annotated[strawberry.ID, strawberry.argument(description="The batch's UUID.")]


@strawberry.input(description="One task of a batch.")
class SubmitTaskInput:
    """What `submitTask` takes."""

    kind: str = strawberry.field(description="A kind's name, as `taskKinds` lists them.")
    input: JSON = strawberry.field(description="Its input: the same fields as its own mutation takes, as JSON.")
    options: TaskOptions | None = strawberry.field(default=UNSET, description=OPTIONS_HELP)

    async def document(self, info: ContextInfo, path: str, batch_id: Any) -> documents.Task:
        """Return the task, not yet stored. Raises BadUserInput naming what is wrong below `path`."""
        context = info.context
        kind = context.services.kinds.get(self.kind)
        if kind is None:
            known = ", ".join(sorted(context.services.kinds))
            raise BadUserInput(f"{path}kind", f"one of the installed kinds {known}", got=self.kind)
        options = (self.options or TaskOptions()).parsed()
        task = new_task(
            kind,
            self.input,
            options,
            owner=context.owner,
            correlation_id=context.correlation_id,
            path=path,
            batch_id=batch_id,
        )
        await check_input(kind, task.input, context.owner, f"{path}input")
        return task


@strawberry.type(name="StatusCount", description="How many tasks of a batch have one status.")
class StatusCountType:
    """Its source is a StatusCount."""

    status: TaskStatus = strawberry.field(description="The status.")
    count: int = strawberry.field(description="How many tasks have it.")


async def _tasks(
    root: RollUp,
    info: ContextInfo,
    first: Annotated[int | None, strawberry.argument(description=FIRST_HELP)] = DEFAULT_FIRST,
    after: Annotated[str | None, strawberry.argument(description=AFTER_HELP)] = UNSET,
    filter: Annotated[TaskFilter | None, strawberry.argument(description="Which of them; null means all.")] = UNSET,
    order: Annotated[
        TaskOrder | None, strawberry.argument(description="In which order; null means OLDEST_FIRST.")
    ] = UNSET,
) -> Page[TaskView]:
    within = {"batch_id": root.batch.id}
    return await read_tasks(info, filter, order or TaskOrder.OLDEST_FIRST, first=first, after=after, within=within)


@strawberry.type(
    name="Batch",
    description="Tasks that were submitted together. Ended tasks are removed after 30 days; then they still count as "
    "ended, but `counts` and `tasks` no longer show them.",
)
class BatchType:
    """Its source is a RollUp."""

    id: strawberry.ID = strawberry.field(description="The UUID (version 7) that names it.")
    total: int = strawberry.field(description="How many tasks it was made of.")
    ended: int = strawberry.field(description="How many of them have ended.")
    counts: list[StatusCountType] = strawberry.field(
        description="How many tasks have which status; those that none has are left out.",
        directives=[ListSize(assumed_size=len(TaskStatus))],
    )
    percent: float = strawberry.field(
        description="0 to 100: the mean of how far its tasks are; one that has ended counts as done, however it ended."
    )
    rate_per_s: float = strawberry.field(
        description=f"Tasks that ended a second over the last {RATE_WINDOW_S:g} s; once all have, over the whole time."
    )
    eta_s: float | None = strawberry.field(
        description="Seconds until all have ended, if it goes on like this; 0 when they have, null while it can't be "
        "told because nothing moves."
    )
    created_at: datetime = strawberry.field(description="When it was submitted.")
    finished_at: datetime | None = strawberry.field(description="When the last task ended, null until then.")
    tasks = strawberry.field(
        resolver=_tasks,
        graphql_type=TaskConnection,
        description="Its tasks, a page at a time.",
        directives=[page_size(DEFAULT_FIRST, MAX_FIRST)],
    )


@strawberry.type
class BatchMutation:
    """The mutation that submits many tasks."""

    @mutation(
        BatchType,
        description=f"Submit 1 to {MAX_BATCH:,} tasks at once; the answer is durable when it comes. If one of them is "
        "not valid, none is submitted, and the error's `field` names its place, such as `inputs.3.input.iterations`. "
        "An idempotency key that was used before is a CONFLICT here.",
    )
    async def submit_tasks(
        self,
        info: ContextInfo,
        inputs: Annotated[list[SubmitTaskInput], strawberry.argument(description="The tasks; they keep this order.")],
    ) -> RollUp:
        if not 1 <= len(inputs) <= MAX_BATCH:
            raise BadUserInput("inputs", f"1 to {MAX_BATCH:,} tasks", got=len(inputs))
        batch = documents.Batch(id=new_id(), owner=info.context.owner, total=len(inputs))
        tasks = []
        for index, given in enumerate(inputs):
            tasks.append(await given.document(info, f"inputs.{index}.", batch.id))
            if index % YIELD_EVERY == YIELD_EVERY - 1:
                await asyncio.sleep(0)
        await submit_batch(info.context.services.submitter, batch, tasks)
        return await roll_up(batch)


@strawberry.type
class BatchQuery:
    """The root that reads batches."""

    @query(BatchType, "The batch with this id; NOT_FOUND if there is none.", Cost(weight=SCAN_WEIGHT))
    async def batch(self, info: ContextInfo, id: BatchId) -> RollUp:
        return await roll_up(await find_batch(parse_id(id), info.context.principal.visible))


@strawberry.type
class BatchSubscription:
    """The root that follows batches."""

    @subscription(
        BatchType,
        "Follow a batch: first as it stands, then whenever it moves, and after the last task's end once more; then it "
        "completes. The server looks twice a second.",
        Cost(weight=SCAN_WEIGHT),
    )
    async def batch_progress(
        self,
        info: ContextInfo,
        id: BatchId,
        max_hz: Annotated[
            float | None, strawberry.argument(description="How often a second to tell: more than 0, at most 60.")
        ] = DEFAULT_MAX_HZ,
    ) -> AsyncGenerator[RollUp, None]:
        context = info.context
        batch = await find_batch(parse_id(id), context.principal.visible)
        rate = DEFAULT_MAX_HZ if max_hz is None else max_hz
        async with aclosing(context.services.batches.follow(batch, max_hz=rate)) as seen:
            async for latest in seen:
                yield latest
