"""A worker that waits in Redis for the next ticket."""

import asyncio
from uuid import uuid4

from redis.asyncio import Redis

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
from tests.integration.jobs.conftest import Submit, until


async def _is_waited(redis: Redis) -> None:
    async with asyncio.timeout(20):
        while all(client["cmd"] != "bzpopmin" for client in await redis.client_list()):  # noqa: ASYNC110  # Redis's.
            await asyncio.sleep(0.005)


async def test_ticket_that_is_waited_for_runs_and_one_that_comes_to_a_stopping_worker_goes_back(
    redis: Redis, settings: Settings, submit: Submit
) -> None:
    stored = await submit("steps", {"steps": 1}, publish=False)
    ledger = Ledger("worker-test")
    announcer = Announcer(EventStreams(redis, settings.namespace), ledger)
    queues = RunQueues(redis, settings.namespace)
    late = TaskMessage(uuid4(), 1).ticket
    async with Processes(1, []) as processes:
        runner = Runner(load_kinds(["tests.fault_kinds"]), ledger, announcer, processes)
        worker = TaskWorker(redis, queues, ledger, announcer, runner, slots=1)
        working = asyncio.create_task(worker.main(), name="worker")
        try:
            await _is_waited(redis)
            await queues.common.put([TaskMessage(stored.id, 1).ticket])
            await until(stored.id, TaskStatus.SUCCEEDED)
            await _is_waited(redis)
            worker.stop()
            await queues.common.put([late])
            async with asyncio.timeout(20):
                await working
        finally:
            worker.stop()
            await asyncio.gather(working, return_exceptions=True)
        await worker.drain(1.0)
    assert await queues.common.take(5) == [late]
