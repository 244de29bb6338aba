"""A kind's contract may change only so that it still takes what is in flight."""

import asyncio
import sys

from core.connections import MongoClient
from core.documents import Task
from core.settings import Settings
from core.states import TaskStatus
from jobs.contracts import broken_contracts
from jobs.kinds import load_kinds
from tests.environments import environment_of


def task(kind: str, status: TaskStatus, **values: object) -> Task:
    return Task(kind=kind, status=status, input=values, max_attempts=3, timeout_s=60.0, epoch=1)


async def check(settings: Settings) -> tuple[int | None, str]:
    """Run the check as a deploy would; return its exit status and what it said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "jobs.contracts"), env=environment_of(settings), stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        _, said = await process.communicate()
    return process.returncode, said.decode()


async def test_only_tasks_in_flight_that_the_model_refuses_break_a_contract(
    mongo: MongoClient, settings: Settings
) -> None:
    tasks = mongo[settings.mongo_database]["tasks"]
    await task("processData", TaskStatus.RUNNING, data="taken").insert()
    await task("processData", TaskStatus.FAILED, data=1, gone=True).insert()
    assert await broken_contracts(tasks, load_kinds()) == []
    assert await check(settings) == (0, "")

    refused = await task("processData", TaskStatus.SCHEDULED, data="x", gone=True).insert()
    await task("processData", TaskStatus.RETRYING, data="x", gone=True).insert()
    unknown = await task("noMore", TaskStatus.PENDING).insert()

    assert await broken_contracts(tasks, load_kinds()) == [
        f"noMore: 1 tasks in flight can't be run; {unknown.id}: the kind is not installed",
        f"processData: 2 tasks in flight can't be run; {refused.id}: gone: Extra inputs are not permitted",
    ]
    status, said = await check(settings)
    assert status == 1
    assert said.startswith("headway: noMore: 1 tasks")
