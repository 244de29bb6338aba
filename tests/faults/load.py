"""The load: tasks of all sorts, submitted, followed and cancelled as clients do it."""

import asyncio
import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from uuid import UUID, uuid4

from core.states import TERMINAL, TaskStatus
from tests.faults.board import Board
from tests.faults.follower import Follower, Story, Way
from tests.faults.world import GATEWAYS, WORKERS, World, until

SUBMIT = """mutation ($kind: String!, $input: JSON!, $options: TaskOptions) {
  submitTask(kind: $kind, input: $input, options: $options) { id } }"""
SUBMIT_BATCH = """mutation ($inputs: [SubmitTaskInput!]!) {
  submitTasks(inputs: $inputs) { tasks(first: 100) { nodes { id } } } }"""
CANCEL = "mutation ($id: ID!, $reason: String) { cancelTask(id: $id, reason: $reason) { id } }"
BATCH = 50
SUBMITTERS = 4
BUSY_WITH = 5
"""Tasks that each worker runs when the fault comes, at least."""
LOOK_EVERY_S = 2.0
"""The database is slow; looking more often would be a load of its own."""
CANCEL_WITHIN_S = 2.0
"""How long after its start a task is asked to stop, at most."""
ENDED = frozenset({TaskStatus.SUCCEEDED})
CANCELLED = frozenset({TaskStatus.CANCELLED})


@dataclass(frozen=True)
class Sort:
    """One sort of task: its share in a thousand, what is submitted, and how it may end without anything being wrong."""

    name: str
    share: int
    kind: str
    values: dict[str, Any]
    ends: frozenset[TaskStatus] = ENDED


LONGEST = {"steps": 200, "pauseS": 0.5}
SORTS = (
    Sort("short", 520, "tell", {"steps": 3, "pauseS": 0.4}),
    Sort("long", 240, "tell", {"steps": 12, "pauseS": 0.5}),
    Sort("checkpointed", 50, "steps", {"steps": 10, "pauseS": 0.5}),
    Sort("cpu", 40, "spin", {"steps": 4, "pauseS": 0.04}),
    Sort("flaky", 60, "flaky", {"failures": 1}),
    Sort("failing", 40, "flaky", {"failures": 9, "permanent": True}, frozenset({TaskStatus.FAILED})),
    Sort("cancelled", 40, "tell", LONGEST, CANCELLED),
    Sort("withdrawn", 10, "tell", LONGEST, CANCELLED),
)
"""The cancelled are asked to stop while they run, the withdrawn as soon as they are submitted."""


@dataclass
class Load:
    """What was submitted, and who follows it."""

    world: World
    sorts: dict[UUID, Sort] = field(default_factory=dict)
    following: list["asyncio.Task[Story]"] = field(default_factory=list)
    cancels: list["asyncio.Task[None]"] = field(default_factory=list)
    boards: dict[Board, "asyncio.Task[None]"] = field(default_factory=dict)
    astray: "asyncio.Task[Story] | None" = None

    async def submit(self, tasks: int, followers: int) -> None:
        """Submit so many tasks, half of them in batches, and follow so many, one in ten of these by two clients."""
        sorts = [sort for sort in SORTS for _ in range(max(1, round(sort.share * tasks / 1000)))]
        random.shuffle(sorts)
        half = len(sorts) // 2
        requests = [sorts[start : min(start + BATCH, half)] for start in range(0, half, BATCH)]
        requests += [[sort] for sort in sorts[half:]]
        random.shuffle(requests)
        for first in range(len(GATEWAYS)):
            board = Board(self.world, first)
            self.boards[board] = asyncio.create_task(board.run(), name=f"board {first}")
        followed = set(random.sample(range(len(sorts)), k=min(len(sorts), followers * 10 // 11)))
        twice = set(random.sample(sorted(followed), k=len(followed) // 10))
        waiting, numbers = iter(requests), count()

        async def submit_some() -> None:
            for request in waiting:
                task_ids = await (self.submit_batch(request) if len(request) > 1 else self._submit_each(request))
                for task_id, number in zip(task_ids, numbers, strict=False):
                    self._accompany(task_id, times=(number in followed) + (number in twice))

        await asyncio.gather(*(submit_some() for _ in range(SUBMITTERS)))

    async def _submit_each(self, sorts: Iterable[Sort]) -> list[UUID]:
        return [await self.submit_one(sort) for sort in sorts]

    async def submit_one(self, sort: Sort) -> UUID:
        """Submit one task through the API, under a key so that it may be sent again when the answer is lost."""
        options = {"idempotencyKey": str(uuid4())}
        data = await self.world.ask(SUBMIT, kind=sort.kind, input=sort.values, options=options)
        task_id = UUID(data["submitTask"]["id"])
        self.sorts[task_id] = sort
        return task_id

    async def submit_batch(self, sorts: Sequence[Sort]) -> list[UUID]:
        """Submit several tasks by one call."""
        data = await self.world.ask(SUBMIT_BATCH, inputs=[{"kind": sort.kind, "input": sort.values} for sort in sorts])
        task_ids = [UUID(node["id"]) for node in data["submitTasks"]["tasks"]["nodes"]]
        self.sorts.update(zip(task_ids, sorts, strict=True))
        return task_ids

    def _accompany(self, task_id: UUID, times: int) -> None:
        """Follow a task so many times, and cancel it if it is meant for that."""
        name = self.sorts[task_id].name
        followers = [self.follow(task_id) for _ in range(max(times, name == "cancelled"))]
        if name == "withdrawn":
            self.cancels.append(asyncio.create_task(self._cancel(task_id), name=f"cancel {task_id}"))
        elif name == "cancelled":
            cancel = self._cancel_once_it_runs(task_id, followers[0])
            self.cancels.append(asyncio.create_task(cancel, name=f"cancel {task_id}"))

    def follow(self, task_id: UUID, **how: float) -> Follower:
        """Follow a task, half of all from each replica, and half of these by its events."""
        number = len(self.following)
        way = (Way.PROGRESS, Way.EVENTS)[number // 2 % 2]
        follower = Follower(str(task_id), self.world.sockets(), number, way, **how)
        self.following.append(asyncio.create_task(follower.run(), name=f"follow {task_id}"))
        return follower

    @property
    def followed(self) -> set[UUID]:
        """The tasks that somebody follows."""
        return {UUID(task.get_name().rpartition(" ")[2]) for task in self.following}

    def follow_nobody(self, task_id: UUID) -> None:
        """Follow a task that there is not."""
        follower = Follower(str(task_id), self.world.sockets(), 0)
        self.astray = asyncio.create_task(follower.run(), name="follow nobody")

    async def _cancel_once_it_runs(self, task_id: UUID, follower: Follower) -> None:
        await follower.running.wait()
        await asyncio.sleep(random.uniform(0.0, CANCEL_WITHIN_S))
        await self._cancel(task_id)

    async def _cancel(self, task_id: UUID) -> None:
        await self.world.ask(CANCEL, id=str(task_id), reason="no longer needed")

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
        await asyncio.wait(self.following, timeout=within_s)
        await stop(self.following)
        return [None if task.cancelled() else task.result() for task in self.following]

    async def aclose(self) -> None:
        """End every client."""
        await stop([*self.following, *self.cancels, *self.boards.values(), *([self.astray] if self.astray else [])])

    async def shown(self, within_s: float) -> list[str]:
        """Wait until all boards show every end; return what was wrong with them."""
        wrong = [await board.judge(self.sorts, within_s) for board in self.boards]
        await stop(list(self.boards.values()))
        return [what for one in wrong for what in one]

    async def cancelled(self, within_s: float) -> list[str]:
        """Wait for the cancels and return what was wrong with each that failed."""
        if self.cancels:
            await asyncio.wait(self.cancels, timeout=within_s)
        await stop(self.cancels)
        failures = [(task, None if task.cancelled() else task.exception()) for task in self.cancels]
        return [f"{task.get_name()}: {why or 'it never could'}" for task, why in failures if task.cancelled() or why]


async def stop(tasks: Sequence["asyncio.Task[Any]"]) -> None:
    """Cancel what has not ended, and wait for it."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def percentile(values: Sequence[float], share: float) -> float | None:
    """Return the value below which this share of the values lies, None of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None
