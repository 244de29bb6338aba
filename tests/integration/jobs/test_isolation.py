"""Which suspects get a process, and how many at once."""

import asyncio

import pytest
from arq.constants import in_progress_key_prefix, job_key_prefix
from redis.asyncio import Redis

from core.documents import Task
from core.messages import TaskMessage
from core.settings import Settings
from core.states import TaskStatus
from core.streams import EventStreams
from jobs.ledger import Ledger
from jobs.losses import CRASHES_ALLOWED
from jobs.progress import Announcer
from jobs.queue import RunQueue, RunQueues
from jobs.worker.isolation import AT_ONCE, Isolation
from tests.integration.jobs.conftest import Submit


class Counted(Isolation):
    """Notes for whom a process would be started; each of these ends when it is let go."""

    def __init__(self, queue: RunQueue, redis: Redis, settings: Settings) -> None:
        ledger = Ledger("test")
        super().__init__(queue, ledger, Announcer(EventStreams(redis, settings.namespace), ledger), patience_s=1)
        self.started: asyncio.Queue[str] = asyncio.Queue()
        self.let_go = asyncio.Semaphore(0)

    async def _run_child(self, ticket: str, name: str) -> int:
        self.started.put_nowait(ticket)
        await self.let_go.acquire()
        return 0

    async def next_started(self) -> str:
        """Return for which ticket a process was started next."""
        async with asyncio.timeout(10):
            return await self.started.get()


@pytest.fixture
def suspects(redis: Redis, settings: Settings) -> RunQueue:
    """The suspects' queue."""
    return RunQueues(redis, settings.namespace).suspects


@pytest.fixture
def isolation(suspects: RunQueue, redis: Redis, settings: Settings) -> Counted:
    """One that is not running yet."""
    return Counted(suspects, redis, settings)


async def suspect(submit: Submit, **fields: object) -> str:
    """Store a suspect and return the ticket of its first epoch."""
    given = {"publish": False, "status": TaskStatus.QUEUED, "crashes": CRASHES_ALLOWED, **fields}
    task: Task = await submit("steps", {}, **given)
    return TaskMessage(task.id, 1).ticket


async def stop(isolation: Counted, running: "asyncio.Task[None]") -> None:
    """Let all go and wait for the end."""
    for _ in range(100):
        isolation.let_go.release()
    isolation.stop()
    await running


async def test_suspect_that_is_not_to_run_any_more_gets_no_process(
    isolation: Counted, suspects: RunQueue, submit: Submit, redis: Redis
) -> None:
    gone = [
        await suspect(submit, status=TaskStatus.CANCELLED, epoch=2),
        await suspect(submit, epoch=3),
        await suspect(submit, status=TaskStatus.RUNNING, epoch=1),
        TaskMessage((await submit("steps", {}, publish=False)).id, 7).ticket,
    ]
    claimable = await suspect(submit)
    await suspects.put([*gone, claimable])
    running = asyncio.create_task(isolation.run())
    assert await isolation.next_started() == claimable
    keys = [prefix + ticket for ticket in gone for prefix in (job_key_prefix, in_progress_key_prefix)]
    assert await redis.exists(*keys) == 0
    await stop(isolation, running)
    assert isolation.started.empty()


async def test_no_more_suspects_run_at_once_than_are_allowed(
    isolation: Counted, suspects: RunQueue, submit: Submit
) -> None:
    tickets = [await suspect(submit) for _ in range(AT_ONCE + 2)]
    await suspects.put(tickets)
    running = asyncio.create_task(isolation.run())
    assert {await isolation.next_started() for _ in range(AT_ONCE)} == set(tickets[:AT_ONCE])
    isolation.wake()
    assert await suspects.length() == 2
    isolation.let_go.release()
    assert await isolation.next_started() == tickets[AT_ONCE]
    assert await suspects.length() == 1
    await stop(isolation, running)
    assert isolation.started.empty()
    assert await suspects.length() == 1
