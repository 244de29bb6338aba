"""The load: tasks of all sorts, submitted as clients do, some cancelled on their way, some followed by two."""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from core.clock import utc_now
from core.messages import cancel_channel
from core.states import HELD, TERMINAL, TaskStatus
from tests.faults.follower import Follower, Story
from tests.faults.world import NAMESPACE, WORKERS, World, until

SUBMIT = """mutation ($kind: String!, $input: JSON!, $options: TaskOptions) {
  submitTask(kind: $kind, input: $input, options: $options) { id } }"""
SUBMITTERS = 48
BUSY_WITH = 5
"""Tasks that each worker runs when the fault comes, at least."""
LOOK_EVERY_S = 1.0
"""The database is slow; looking more often would be a load of its own."""


@dataclass(frozen=True)
class Sort:
    """One sort of task: its share in a thousand, what is submitted, and how it may end without anything being wrong."""

    name: str
    share: int
    kind: str
    values: dict[str, Any]
    ends: frozenset[TaskStatus] = frozenset({TaskStatus.SUCCEEDED})


SORTS = (
    Sort("short", 520, "tell", {"steps": 4, "pauseS": 0.25}),
    Sort("long", 250, "tell", {"steps": 32, "pauseS": 0.25}),
    Sort("checkpointed", 50, "steps", {"steps": 10, "pauseS": 0.5}),
    Sort("cpu", 40, "spin", {"steps": 4, "pauseS": 0.04}),
    Sort("flaky", 60, "flaky", {"failures": 1}),
    Sort("failing", 40, "flaky", {"failures": 9, "permanent": True}, frozenset({TaskStatus.FAILED})),
    Sort("cancelled", 40, "tell", {"steps": 400, "pauseS": 0.25}, frozenset({TaskStatus.CANCELLED})),
)


@dataclass
class Load:
    """What was submitted, and who follows it."""

    world: World
    sorts: dict[UUID, Sort] = field(default_factory=dict)
    following: list["asyncio.Task[Story]"] = field(default_factory=list)
    cancelled_at: dict[UUID, float] = field(default_factory=dict)
    helpers: list["asyncio.Task[None]"] = field(default_factory=list)
    astray: "asyncio.Task[Story] | None" = None

    async def submit(self, tasks: int, followers: int) -> None:
        """Submit so many tasks and follow so many of them, one in ten of these by two clients."""
        sorts = [sort for sort in SORTS for _ in range(max(1, round(sort.share * tasks / 1000)))]
        random.shuffle(sorts)
        every = max(1, len(sorts) // max(1, followers * 10 // 11))
        waiting = iter(enumerate(sorts))

        async def submit_some() -> None:
            for number, sort in waiting:
                task_id = await self.submit_one(sort)
                if number % every == 0:
                    self.follow(task_id, number)
                    if number // every % 10 == 0:
                        self.follow(task_id, number + 1)

        await asyncio.gather(*(submit_some() for _ in range(SUBMITTERS)))
        self.helpers.append(asyncio.create_task(self._cancel_some(), name="cancels"))

    async def submit_one(self, sort: Sort) -> UUID:
        """Submit one task through the API."""
        answer = await self.world.graphql(SUBMIT, kind=sort.kind, input=sort.values, options=None)
        assert "errors" not in answer, answer
        task_id = UUID(answer["data"]["submitTask"]["id"])
        self.sorts[task_id] = sort
        return task_id

    def follow(self, task_id: UUID, first: int, **how: float) -> None:
        """Follow a task from the replica that `first` chooses."""
        follower = Follower(str(task_id), self.world.sockets(), first, **how)
        self.following.append(asyncio.create_task(follower.run(), name=f"follow {task_id}"))

    def follow_nobody(self, task_id: UUID) -> None:
        """Follow a task that there is not."""
        follower = Follower(str(task_id), self.world.sockets(), 0)
        self.astray = asyncio.create_task(follower.run(), name="follow nobody")

    async def _cancel_some(self) -> None:
        """Cancel the tasks meant for it once they run, as the gateway does: the intent first, then a hint."""
        left = {task_id for task_id, sort in self.sorts.items() if sort.name == "cancelled"}
        while left:
            await asyncio.sleep(LOOK_EVERY_S)
            query = {"_id": {"$in": list(left)}, "status": TaskStatus.RUNNING.value}
            try:
                async for document in self.world.tasks.find(query, {"_id": 1}).limit(4):
                    await self._cancel(document["_id"])
                    left.discard(document["_id"])
            except Exception:  # noqa: BLE001  # The services are taken away on purpose; the next look cancels.
                continue

    async def _cancel(self, task_id: UUID) -> None:
        asked = {"cancel_requested_at": utc_now(), "cancel_reason": "no longer needed"}
        await self.world.tasks.update_one({"_id": task_id, "status": {"$in": sorted(HELD)}}, {"$set": asked})
        self.cancelled_at[task_id] = time.time()
        await self.world.redis.publish(cancel_channel(NAMESPACE), str(task_id))

    async def until_busy(self) -> None:
        """Wait until every worker runs some of it."""

        async def busy() -> bool:
            found = self.world.tasks.find({"status": TaskStatus.RUNNING.value}, {"lease.worker": 1})
            workers = [task["lease"]["worker"] async for task in found]
            return all(sum(f"-{pid}-" in worker for worker in workers) >= BUSY_WITH for pid in pids)

        pids = [self.world.pid(role) for role in WORKERS]
        await until(busy, 60)

    async def in_flight(self) -> int:
        """Return how many have not ended. Nothing but this load is in the database."""
        return int(await self.world.tasks.count_documents({"status": {"$in": sorted(set(TaskStatus) - TERMINAL)}}))

    async def until_ended(self, within_s: float) -> bool:
        """Wait until every task has ended. Returns whether they all have."""
        give_up = time.monotonic() + within_s
        while await self.in_flight():
            if time.monotonic() > give_up:
                return False
            await asyncio.sleep(LOOK_EVERY_S)
        return True

    async def stories(self, within_s: float) -> list[Story | None]:
        """Return what the followers saw; None of one that does not end."""
        await asyncio.wait([*self.following, *self.helpers], timeout=within_s)
        for task in (*self.following, *self.helpers):
            task.cancel()
        await asyncio.gather(*self.following, *self.helpers, return_exceptions=True)
        return [None if task.cancelled() else task.result() for task in self.following]


def percentile(values: Sequence[float], share: float) -> float | None:
    """Return the value below which this share of the values lies, None of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None
