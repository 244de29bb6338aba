"""The notice of a cancel that reaches a worker while it claims the task."""

import asyncio
from collections.abc import Sequence

from redis.asyncio import Redis

from core.clock import utc_now
from core.documents import Task
from core.messages import TaskMessage
from core.settings import Settings
from core.states import TaskStatus
from core.streams import EventStreams
from jobs.kinds import load_kinds
from jobs.ledger import Ledger
from jobs.processes import Processes
from jobs.progress import Announcer
from jobs.queue import RunQueues
from jobs.runner import Runner
from jobs.worker.arq_worker import TaskWorker
from tests.integration.jobs.conftest import Submit


class SlowLedger(Ledger):
    """A ledger whose claims are won at once and told only when they are let go."""

    def __init__(self, actor: str) -> None:
        super().__init__(actor)
        self.has_won = asyncio.Event()
        self.let_go = asyncio.Event()

    async def claim(self, tickets: Sequence[TaskMessage]) -> list[Task]:
        """Claim what these tickets stand for, as the documents were at that moment."""
        won = await super().claim(tickets)
        self.has_won.set()
        await self.let_go.wait()
        return won


async def test_notice_that_comes_during_the_claim_stops_the_task_without_a_beat(
    redis: Redis, settings: Settings, submit: Submit
) -> None:
    stored = await submit("steps", {"steps": 600, "pauseS": 0.1}, publish=False)
    ledger = SlowLedger("worker-test")
    announcer = Announcer(EventStreams(redis, settings.namespace), ledger)
    async with Processes(1, []) as processes:
        runner = Runner(load_kinds(["tests.fault_kinds"]), ledger, announcer, processes)
        queues = RunQueues(redis, settings.namespace)
        worker = TaskWorker(redis, queues, ledger, announcer, runner, slots=1, is_alone=True)
        running = asyncio.create_task(worker.run_only(TaskMessage(stored.id, 1).ticket), name="worker")
        try:
            await ledger.has_won.wait()
            asked = {"cancel_requested_at": utc_now(), "cancel_reason": "no longer needed"}
            await Task.get_pymongo_collection().update_one({"_id": stored.id}, {"$set": asked})
            noticing = asyncio.create_task(worker.cancel_if_asked(stored.id), name="notice")
            await asyncio.sleep(0)
            ledger.let_go.set()
            await noticing
            async with asyncio.timeout(20):
                await running
        finally:
            ledger.let_go.set()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    ended = await Task.get(stored.id)
    assert ended is not None
    assert (ended.status, ended.cancel_reason) == (TaskStatus.CANCELLED, "no longer needed")
    assert [entry.status for entry in ended.timeline][-2:] == [TaskStatus.CANCELLING, TaskStatus.CANCELLED]
