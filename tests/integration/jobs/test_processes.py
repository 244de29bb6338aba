"""The pool that runs CPU-bound kinds, when the system takes a process of it away."""

import asyncio
import os
import signal

from core.connections import MongoClient
from core.documents import Task
from core.states import TaskStatus
from jobs.attempt import Attempt
from jobs.kinds import load_kinds
from jobs.outcome import Returned
from jobs.processes import Processes


async def test_worker_goes_on_after_an_idle_process_was_killed(mongo: MongoClient) -> None:
    kind = load_kinds()["processData"]
    values = {"data": "x", "iterations": 1}
    task = Task(kind=kind.name, status=TaskStatus.RUNNING, input=values, max_attempts=3, timeout_s=60.0, epoch=2)
    async with Processes(1, []) as processes:
        idle = await asyncio.wrap_future(processes._pool.schedule(os.getpid))
        os.kill(idle, signal.SIGKILL)
        async with asyncio.timeout(10):
            while True:
                if not processes._pool.active:
                    break
                await asyncio.sleep(0.05)
        for epoch in (2, 3):
            task.epoch = epoch
            outcome, _ = processes.start(Attempt(task, lambda _: None), kind)
            assert isinstance(await outcome, Returned)
