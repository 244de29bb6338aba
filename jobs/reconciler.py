"""Sets right what a crash or an outage left behind, and does what is due. One scan a second, by the leading bridge."""

import asyncio
import math
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from redis.exceptions import RedisError

from core import contents, files
from core.cancellation import cancel_until_done
from core.clock import utc_now
from core.documents import Task
from core.messages import TaskMessage
from core.moments import EARLIEST, until, with_moment
from core.publisher import Publisher, PublishFailed
from core.states import HELD, UNCLAIMED, Priority, TaskStatus
from core.streams import EventStreams, StreamEvent
from core.telemetry import get_logger
from core.transition import Transition
from core.transitions import cancelled_unclaimed, due, expired, requeued
from jobs.ledger import Ledger
from jobs.losses import judge
from jobs.metrics import LOSSES, REPAIRS
from jobs.queue import RunQueue, RunQueues

UNTOLD_AFTER_S = 5.0
"""How long a PENDING task may wait for its publish, or a QUEUED one for its place in arq, before it is looked after."""
BACKLOG_PATIENCE_S = 60.0
"""A published task is published again only if its queue is empty or has given out messages this much younger."""
LOOK_FOR_LOST_EVERY = timedelta(seconds=10)
SWEEP_EVERY = timedelta(minutes=1)
PUBLISH_WAIT_S = 0.5
"""What a scan waits for the broker: one that is silent must not keep a dead worker's tasks waiting."""
BATCH = 500

log = get_logger(__name__)


class Backlog(Protocol):
    """What the reconciler asks of the broker."""

    async def past(self, priority: Priority) -> datetime | None:
        """Return up to when a message must have been published so that it can't be waiting; None if unknown."""
        ...


def _pending(priority: Priority) -> dict[str, Any]:
    return {"status": TaskStatus.PENDING.value, "priority": priority.value}


class Reconciler:
    """Repairs, each a compare-and-set, so that a second reconciler or a late worker does no harm."""

    def __init__(
        self,
        ledger: Ledger,
        streams: EventStreams,
        queues: RunQueues,
        publisher: Publisher,
        backlog: Backlog | None,
    ) -> None:
        self._ledger = ledger
        self._streams = streams
        self._queues = queues
        self._publisher = publisher
        self._backlog = backlog
        self._looks_for_lost_at = EARLIEST
        self._swept_at: datetime | None = None
        self._publishing: asyncio.Task[None] | None = None

    async def scan(self, *, judges_leases: bool) -> None:
        """Look once at everything. Raises PyMongoError or RedisError; what is done is done.

        Where Redis does not answer, the rest is done before that is raised: it may need only MongoDB.
        """
        steps = [self._expire, self._cancel_asked]
        if judges_leases:
            steps.append(self._take_over)
        steps += [self._retry, self._put_back_lost, self._start_scheduled, self._publish_owed, self._sweep_files]
        await self._take_steps(*steps)

    async def start_due(self) -> None:
        """Start what is scheduled, and queue what is to be tried again, where the time has come. Raises as `scan`."""
        await self._take_steps(self._retry, self._start_scheduled)

    async def aclose(self) -> None:
        """End what still waits for the broker; those tasks stay owed to it."""
        if self._publishing is not None:
            await cancel_until_done([self._publishing])

    async def _take_steps(self, *steps: Callable[[datetime], Awaitable[None]]) -> None:
        now = utc_now()
        failure: Exception | None = None
        for step in steps:
            try:
                await step(now)
            except (RedisError, OSError, TimeoutError) as exc:
                failure = failure or exc
        if failure is not None:
            raise failure

    async def next_due_s(self) -> float:
        """Return in how many seconds something falls due next; infinite if nothing waits."""
        later = with_moment([TaskStatus.SCHEDULED, TaskStatus.RETRYING], "run_at", {"$gt": utc_now()})
        first = await Task.get_pymongo_collection().find_one(later, {"run_at": 1}, sort=[("run_at", 1)])
        return math.inf if first is None else float((first["run_at"] - utc_now()).total_seconds())

    async def _find(self, query: Mapping[str, Any], sort: str) -> list[Task]:
        return await Task.find(query).sort(f"+{sort}").limit(BATCH).to_list()

    async def _find_due(self, statuses: Iterable[TaskStatus], field: str, now: datetime) -> list[Task]:
        return await self._find(with_moment(statuses, field, until(now)), field)

    async def _commit(self, repair: str, transitions: Sequence[Transition]) -> list[StreamEvent]:
        events = [event for event in await self._ledger.commit_all(transitions) if event is not None]
        if events:
            REPAIRS.labels(repair).inc(len(events))
            log.info("Repaired", repair=repair, tasks=len(events), first=str(events[0].task_id))
            await self._streams.append(events)
        return events

    async def _put(self, events: Sequence[StreamEvent], crashes: Mapping[UUID, int]) -> None:
        """Put tasks that were just queued where their counts of crashes belong."""
        queued = [(event.task_id, event.cursor.epoch, crashes[event.task_id]) for event in events]
        for queue, tickets in self._by_queue(queued).items():
            await queue.put(tickets)

    def _by_queue(self, queued: Sequence[tuple[UUID, int, int]]) -> Mapping[RunQueue, list[str]]:
        """Return the tickets of tasks, given by id, epoch and count of crashes, under the queue they belong in."""
        tickets: defaultdict[RunQueue, list[str]] = defaultdict(list)
        for task_id, epoch, crashes in queued:
            tickets[self._queues.of(crashes)].append(TaskMessage(task_id, epoch).ticket)
        return tickets

    async def _expire(self, now: datetime) -> None:
        late = await self._find_due(UNCLAIMED, "deadline", now)
        await self._commit("expired", [expired(task.id, task.epoch, by=self._ledger.actor) for task in late])

    async def _cancel_asked(self, now: datetime) -> None:
        """Cancel what its holder gave back before it heard that it was to be cancelled."""
        asked = await self._find_due(UNCLAIMED, "cancel_requested_at", now)
        by = self._ledger.actor
        ends = [cancelled_unclaimed(task.id, task.epoch, by=by, reason=task.cancel_reason) for task in asked]
        await self._commit("cancelled", ends)

    async def _start_scheduled(self, now: datetime) -> None:
        ready = await self._find_due([TaskStatus.SCHEDULED], "run_at", now)
        events = await self._commit("due", [due(task.id, task.epoch, by=self._ledger.actor) for task in ready])
        started = {event.task_id: event.cursor.epoch for event in events}
        await self._publish([(task, started[task.id]) for task in ready if task.id in started])

    async def _publish_owed(self, now: datetime) -> None:
        if self._backlog is None or self._publishing is not None:
            return
        untold = {"published_at": None, "status_at": {"$lte": now - timedelta(seconds=UNTOLD_AFTER_S)}}
        owed = await self._find({"$or": [{**_pending(priority), **untold} for priority in Priority]}, "status_at")
        lost = await self._lost(self._backlog, now)
        await self._publish([(task, task.epoch) for task in (*owed, *lost)], is_repair=True)

    async def _lost(self, backlog: Backlog, now: datetime) -> list[Task]:
        """Return tasks whose messages are gone. Where there are none, the next look is in 10 s."""
        if now < self._looks_for_lost_at:
            return []
        lost = await self._lost_until(backlog, now - timedelta(seconds=BACKLOG_PATIENCE_S))
        if not lost:
            self._looks_for_lost_at = now + LOOK_FOR_LOST_EVERY
        return lost

    async def _lost_until(self, backlog: Backlog, latest: datetime) -> list[Task]:
        """Return tasks published by then whose messages are gone. A backlog that waits costs one small read."""

        def until_then(priority: Priority, moment: datetime) -> dict[str, Any]:
            return {**_pending(priority), "published_at": {"$lte": moment}}

        tasks = Task.get_pymongo_collection()
        waiting = [each for each in Priority if await tasks.find_one(until_then(each, latest), {"_id": 1})]
        lost: list[Task] = []
        for priority, past in zip(waiting, await asyncio.gather(*map(backlog.past, waiting)), strict=True):
            if past is not None:
                lost += await self._find(until_then(priority, min(past, latest)), "published_at")
        return lost

    async def _publish(self, tasks: Sequence[tuple[Task, int]], *, is_repair: bool = False) -> None:
        """Publish tasks under these epochs, beside the scans if the broker is silent; then what comes stays owed."""
        await self._wait_for_broker()
        if tasks and self._publishing is None:
            publishes = self._publish_together(tasks, is_repair=is_repair)
            self._publishing = asyncio.create_task(publishes, name="publishes of the reconciler")
            await self._wait_for_broker()

    async def _wait_for_broker(self) -> None:
        publishing = self._publishing
        if publishing is not None and (await asyncio.wait({publishing}, timeout=PUBLISH_WAIT_S))[0]:
            self._publishing = None
            publishing.result()

    async def _publish_together(self, tasks: Sequence[tuple[Task, int]], *, is_repair: bool) -> None:
        """Publish, and note which the broker holds."""
        results = await asyncio.gather(
            *(
                self._publisher.publish(TaskMessage(task.id, epoch, task.trace, task.correlation_id), task.priority)
                for task, epoch in tasks
            ),
            return_exceptions=True,
        )
        held = [task.id for (task, _), result in zip(tasks, results, strict=True) if result is True]
        failures = [result for result in results if isinstance(result, BaseException)]
        if held:
            await Task.find({"_id": {"$in": held}}).update_many({"$set": {"published_at": utc_now()}})
            REPAIRS.labels("published").inc(len(held) if is_repair else 0)
        for failure in failures[:1]:
            if not isinstance(failure, PublishFailed):
                raise failure
            log.warning("Publishing waits for the broker", tasks=len(failures), error=str(failure))

    async def _take_over(self, now: datetime) -> None:
        dead = await self._find_due(HELD, "lease.until", now)
        events = await self._commit("taken over", [self._judge(task, now) for task in dead])
        LOSSES.labels("worker").inc(len(events))
        again = [event for event in events if not event.ends]
        await self._put(again, {task.id: task.crashes + 1 for task in dead})

    def _judge(self, task: Task, now: datetime) -> Transition:
        lost = f"{task.lease.worker if task.lease else 'its worker'} stopped beating"
        return judge(task, by=self._ledger.actor, lost=lost, lease_ended_by=now)

    async def _retry(self, now: datetime) -> None:
        ready = await self._find_due([TaskStatus.RETRYING], "run_at", now)
        again = [requeued(task.id, task.epoch, by=self._ledger.actor, reason="its retry is due") for task in ready]
        await self._put(await self._commit("retried", again), {task.id: task.crashes for task in ready})

    async def _put_back_lost(self, now: datetime) -> None:
        waiting = await self._find(
            {
                "status": TaskStatus.QUEUED.value,
                "status_at": {"$lte": now - timedelta(seconds=UNTOLD_AFTER_S)},
            },
            "status_at",
        )
        queued = [(task.id, task.epoch, task.crashes) for task in waiting]
        for queue, tickets in self._by_queue(queued).items():
            missing = await queue.missing(tickets)
            if missing:
                REPAIRS.labels("put back").inc(len(missing))
                log.info("Put back", tasks=len(missing), first=missing[0], queue=queue.name)
                await queue.put(missing)

    async def _sweep_files(self, now: datetime) -> None:
        if self._swept_at is None or now >= self._swept_at + SWEEP_EVERY:
            self._swept_at = now
            REPAIRS.labels("contents dropped").inc(await contents.sweep(now))
            REPAIRS.labels("files dropped").inc(await files.sweep(now))
