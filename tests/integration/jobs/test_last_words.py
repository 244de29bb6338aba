"""What an attempt says last, while MongoDB takes its time with the end."""

import asyncio
from uuid import UUID

from redis.asyncio import Redis

from core.events import Cursor, Logged, Progressed
from core.messages import TaskMessage
from core.settings import Settings
from core.states import TaskStatus
from core.streams import EventStreams, StreamEvent
from core.transition import Transition
from jobs.attempt import Attempt
from jobs.kinds import load_kinds
from jobs.ledger import Ledger
from jobs.pace import BURST
from jobs.processes import Processes
from jobs.progress import Announcer
from jobs.runner import Runner
from tests.integration.jobs.conftest import Submit


class HeldLedger(Ledger):
    """A ledger whose commits wait until they are let go."""

    def __init__(self, actor: str) -> None:
        super().__init__(actor)
        self.is_committing = asyncio.Event()
        self.let_go = asyncio.Event()

    async def commit(self, transition: Transition, attempt: int | None = None) -> StreamEvent | None:
        """Write a transition once let go."""
        self.is_committing.set()
        await self.let_go.wait()
        return await super().commit(transition, attempt)


async def test_last_progress_reaches_followers_before_the_end_is_stored(
    redis: Redis, settings: Settings, submit: Submit
) -> None:
    stored = await submit("flaky", {"failures": 0}, publish=False)
    streams, ledger = EventStreams(redis, settings.namespace), HeldLedger("worker-test")
    [task] = await ledger.claim([TaskMessage(stored.id, 1)])
    announcer = Announcer(streams, ledger)
    async with Processes(1, []) as processes:
        runner = Runner(load_kinds(["tests.fault_kinds"]), ledger, announcer, processes)
        attempt = Attempt(task, announcer.notice)
        for _ in range(BURST):  # So its progress has to wait, and the end begins.
            attempt.pace.spend(asyncio.get_running_loop().time())
        announcing = asyncio.create_task(announcer.run(), name="announcer")
        running = asyncio.create_task(runner.run(attempt), name="attempt")
        try:
            await ledger.is_committing.wait()
            told = [(Cursor(1, 2), TaskStatus.QUEUED), (Cursor(2, 1), TaskStatus.RUNNING), (Cursor(2, 2), 1)]
            async with asyncio.timeout(5):
                while await _told(streams, task.id) != told:  # noqa: ASYNC110  # Redis sets no event of ours.
                    await asyncio.sleep(0.02)
            ledger.let_go.set()
            assert await running is TaskStatus.SUCCEEDED
            await announcer.flush()
            assert await _told(streams, task.id) == [*told, (Cursor(2, 3), TaskStatus.SUCCEEDED)]
        finally:
            running.cancel()
            announcing.cancel()
            await asyncio.gather(running, announcing, return_exceptions=True)


async def _told(streams: EventStreams, task_id: UUID) -> list[tuple[Cursor, TaskStatus | int]]:
    """Return the stream's events as their ids with the status or the count that they tell of."""
    return [
        (cursor, event.current if isinstance(event, Progressed) else event.status)
        for cursor, event in await streams.read(task_id, Cursor(0, 0))
        if not isinstance(event, Logged)
    ]
