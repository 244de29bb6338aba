"""Tasks that were stored, on their way to the broker: announced, published, and noted as that once it holds them.

What is submitted in one turn of the event loop goes together. It belongs to no request, and outlives those that wait.
"""

import asyncio
from collections.abc import Iterable, Sequence
from contextvars import copy_context
from typing import Any, NamedTuple

from pymongo.errors import PyMongoError
from redis.exceptions import RedisError

from core.choices import own, with_own
from core.clock import utc_now
from core.documents import Task
from core.grouping import GroupCommit
from core.messages import TaskMessage
from core.publisher import Publisher, PublishFailed
from core.states import Priority, TaskStatus
from core.streams import EventStreams, StreamEvent
from core.telemetry import get_logger
from gateway.metrics import CONFIRM_SECONDS, UNCONFIRMED

APPEND_WAIT_S = 0.25
"""The first event goes to the stream before the message does; a silent Redis delays the message no longer than this."""
MAX_HANDOVERS = 10_000
"""Tasks on their way to the broker at once; what comes on top stays PENDING and is published by the reconciler."""
MARK_AFTER_S = 0.1
"""How long the mark that a task was published waits for others: a task without it is published again after 5 s."""

log = get_logger(__name__)


class Owed(NamedTuple):
    """Tasks of one priority that were stored and are owed to the broker; `told` is done once it has answered for all.

    One priority, for each has a queue: what waits for one queue is no reason to leave tasks of another unmarked.
    """

    tasks: Sequence[Task]
    told: asyncio.Future[None]


class Unpublished(NamedTuple):
    """A task that stays PENDING, and why."""

    task: Task
    reason: BaseException


class HandOver:
    """Brings stored tasks to the broker. One a replica, closed after the last operation has ended."""

    def __init__(self, publisher: Publisher, streams: EventStreams, *, confirm_wait_s: float) -> None:
        self._confirm_wait_s = confirm_wait_s
        self._publisher = publisher
        self._announcements = GroupCommit[StreamEvent, bool](streams.append, name="first events")
        self._marks = GroupCommit[Task, None](_mark_published, name="published marks", gather_s=MARK_AFTER_S)
        self._owed: list[Owed] = []
        self._handovers: dict[asyncio.Task[None], int] = {}
        self._under_way = 0
        self._context = copy_context()

    async def submit_all(self, tasks: Sequence[Task]) -> None:
        """Hand over what was stored, together with what was stored with it; wait a moment for the confirms."""
        if self._under_way + len(tasks) > MAX_HANDOVERS:
            log.warning("Left tasks to the reconciler", tasks=len(tasks), under_way=self._under_way)
            return
        loop = asyncio.get_running_loop()
        if not self._owed:  # In a context of nobody's request, for it is for several of them.
            loop.call_soon(self._hand_over_owed, context=self._context)
        self._under_way += len(tasks)
        owed = [Owed(alike, loop.create_future()) for alike in _by_priority(tasks)]
        self._owed += owed
        await asyncio.wait([each.told for each in owed], timeout=self._confirm_wait_s)

    async def aclose(self, deadline_s: float = 5.0) -> None:
        """Let the hand-overs under way finish, then cancel what is left; the reconciler publishes those tasks."""
        self._hand_over_owed()
        pending = set(self._handovers)
        if pending:
            _, pending = await asyncio.wait(pending, timeout=deadline_s)
        for handover in pending:
            handover.cancel()
        await asyncio.gather(*pending, return_exceptions=True)

    def _hand_over_owed(self) -> None:
        if not self._owed:
            return
        owed, self._owed = self._owed, []
        handover = asyncio.create_task(self._hand_over(owed), name=f"hand over {owed[0].tasks[0].id} and others")
        self._handovers[handover] = sum(len(each.tasks) for each in owed)
        handover.add_done_callback(self._handed_over)

    def _handed_over(self, handover: asyncio.Task[None]) -> None:
        self._under_way -= self._handovers.pop(handover)

    async def _hand_over(self, owed: Sequence[Owed]) -> None:
        await self._announce([task for each in owed for task in each.tasks])
        outcomes = await asyncio.gather(*map(self._publish_all, owed))
        failures = [failure for each in outcomes for failure in each]
        if failures:
            reason = failures[0].reason
            log.warning(
                "The broker did not take tasks; they stay PENDING",
                **_named([failure.task for failure in failures]),
                reason=str(reason) or type(reason).__name__,
                exc_info=None if isinstance(reason, PublishFailed) else reason,
            )

    async def _publish_all(self, owed: Owed) -> list[Unpublished]:
        """Publish tasks, tell who waits for that, then note which of them the broker holds; return the others."""
        pending = [task for task in owed.tasks if task.status is TaskStatus.PENDING]
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            results = await asyncio.gather(*map(self._publish, pending), return_exceptions=True)
        finally:
            if not owed.told.done():
                owed.told.set_result(None)
        held = [task for task in pending if task.published_at is not None]
        if held:
            CONFIRM_SECONDS.observe(loop.time() - started)
            await self._marks.submit_all(held)
        return [Unpublished(task, reason) for task, reason in zip(pending, results, strict=True) if reason is not None]

    async def _publish(self, task: Task) -> None:
        message = TaskMessage(task.id, task.epoch, task.trace, task.correlation_id)
        with UNCONFIRMED.count_exceptions():
            if await self._publisher.publish(message, task.priority):
                task.published_at = utc_now()

    async def _announce(self, tasks: Sequence[Task]) -> None:
        events = [StreamEvent(task.id, task.cursor, task.timeline[0].event()) for task in tasks]
        try:
            async with asyncio.timeout(APPEND_WAIT_S):
                await self._announcements.submit_all(events)
        except (RedisError, OSError, TimeoutError) as exc:
            log.warning("Redis did not take first events", **_named(tasks), reason=str(exc))


async def _mark_published(tasks: Sequence[Task]) -> list[None]:
    """Note of each task its own time, unless whoever had it from the broker first has noted one."""
    its_own = with_own([own(task.id, {"published_at": task.published_at}) for task in tasks], "$$own.published_at")
    query = {"_id": {"$in": [task.id for task in tasks]}, "published_at": None}
    try:
        await Task.get_pymongo_collection().update_many(query, [{"$set": {"published_at": its_own}}])
    except PyMongoError as exc:
        log.warning("Could not note that tasks were published", **_named(tasks), reason=str(exc))
    return [None] * len(tasks)


def _by_priority(tasks: Sequence[Task]) -> Iterable[Sequence[Task]]:
    alike: dict[Priority, list[Task]] = {}
    for task in tasks:
        alike.setdefault(task.priority, []).append(task)
    return alike.values()


def _named(tasks: Sequence[Task]) -> dict[str, Any]:
    """Return how a line of the log names tasks of several requests: the first of them stands for all."""
    return {"tasks": len(tasks), "task_id": str(tasks[0].id), "correlation_id": tasks[0].correlation_id}
