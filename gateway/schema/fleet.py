"""The query `fleet`."""

from datetime import datetime

import strawberry

from core.states import Priority
from gateway import fleet
from gateway.guard.directives import SCAN_WEIGHT, Cost, ListSize
from gateway.schema.fields import ContextInfo, query

USUAL_WORKERS = 10


@strawberry.type(name="Backlog", description="What waits of one priority: tasks that are PENDING.")
class BacklogType:
    """Its source is a core.backlog.Backlog."""

    priority: Priority = strawberry.field(description="The priority.")
    tasks: int = strawberry.field(description="How many wait, counted to 10,000.")
    since: datetime | None = strawberry.field(description="Since when the first of them waits, null where none does.")


@strawberry.type(name="BusyWorker", description="A worker that holds tasks.")
class BusyWorkerType:
    """Its source is a gateway.fleet.BusyWorker."""

    name: str = strawberry.field(description="Its name, as in timelines.")
    tasks: int = strawberry.field(description="How many tasks it holds.")
    seen_at: datetime | None = strawberry.field(description="When it last gave a sign of life.")


@strawberry.type(name="Fleet", description="What waits, and who is at work, of the tasks that one may see.")
class FleetType:
    """Its source is a gateway.fleet.Fleet."""

    timestamp: datetime = strawberry.field(description="When this was found.")
    backlog: list[BacklogType] = strawberry.field(
        description="What waits, by priority.", directives=[ListSize(assumed_size=len(Priority))]
    )
    workers: list[BusyWorkerType] = strawberry.field(
        description="Who is at work, by name, up to 100. A worker that holds no task is not among them.",
        directives=[ListSize(assumed_size=USUAL_WORKERS)],
    )


@strawberry.type
class FleetQuery:
    """The root that looks at the fleet."""

    @query(FleetType, "Look at what waits and who is at work now.", Cost(weight=SCAN_WEIGHT))
    async def fleet(self, info: ContextInfo) -> fleet.Fleet:
        return await fleet.look(info.context.principal.visible)
