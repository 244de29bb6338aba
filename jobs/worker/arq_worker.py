"""arq's worker with what it lacks: batched take and claim, a wake-up in place of a poll, outages of Redis survived.

It keeps arq's queue, keys, counters and health record. What it overrides of arq 0.28 is named in `OVERRIDDEN`, and a
test fails when their signatures change.
"""

import asyncio
import contextlib
import time
from collections.abc import Mapping
from uuid import UUID

from arq.connections import ArqRedis
from arq.jobs import DeserializationError
from arq.worker import Worker, func
from pymongo.errors import PyMongoError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from core.documents import Task
from core.grouping import PAUSE_S, SEVERAL, GroupCommit
from core.messages import TaskMessage, UnreadableMessage, parse_ticket
from core.states import TaskStatus
from core.telemetry import get_logger
from core.tracing import is_on
from jobs.attempt import Attempt, Interruption
from jobs.kinds import MAX_TIMEOUT_S
from jobs.ledger import Ledger
from jobs.metrics import RUNNING_ATTEMPTS, WORKER_SLOTS
from jobs.progress import Announcer
from jobs.queue import FUNCTION, RunQueues, decode_job, encode_job
from jobs.runner import Runner
from jobs.worker.beat import Beat

POLL_S = 0.5
"""How long an idle worker waits for a wake-up before it looks by itself."""
RETRY_S = 0.5
RENEW_EVERY_S = 3.0
OVERRIDDEN = ("main", "start_jobs", "run_job")

log = get_logger(__name__)


async def _run_task(ctx: dict[str, object]) -> None:
    raise NotImplementedError("the worker runs tickets itself; this only gives the function its name")


class TaskWorker(Worker):
    """Takes tickets while it has free slots and runs their tasks. `stop` makes `main` and `run_only` return.

    `is_alone` says that it is there for one suspect.
    """

    def __init__(
        self,
        redis: Redis,
        queues: RunQueues,
        ledger: Ledger,
        announcer: Announcer,
        runner: Runner,
        *,
        slots: int,
        is_alone: bool = False,
    ) -> None:
        queue = queues.suspects if is_alone else queues.common
        super().__init__(
            [func(_run_task, name=FUNCTION)],
            queue_name=queue.name,
            redis_pool=ArqRedis(redis.connection_pool, default_queue_name=queue.name),
            max_jobs=slots,
            job_timeout=MAX_TIMEOUT_S,
            keep_result=0,
            max_tries=2**31,
            poll_delay=POLL_S,
            health_check_interval=RENEW_EVERY_S,
            handle_signals=False,
            job_serializer=encode_job,
            job_deserializer=decode_job,
        )
        self._queue = queue
        self._queues = queues
        self._ledger = ledger
        self._announcer = announcer
        self._runner = runner
        self._done_with = GroupCommit[str, None](self._forget, name="tickets done with")
        self._wake = asyncio.Event()
        self._stopping = False
        self._unclaimed: list[str] = []
        self._claimed = asyncio.Event()
        self._claimed.set()
        self.running: dict[UUID, Attempt] = {}
        WORKER_SLOTS.set(slots)
        RUNNING_ATTEMPTS.set_function(lambda: len(self.running))

    def wake(self, _: bytes = b"") -> None:
        """Look for work at once."""
        self._wake.set()

    def stop(self) -> None:
        """Take no more work."""
        self._stopping = True
        self._wake.set()

    async def main(self) -> None:
        """Take, claim and start until stopped. An outage of Redis or MongoDB only pauses the taking."""
        while not self._stopping:
            self._wake.clear()
            try:
                await self.heart_beat()
                is_busy = await self._poll()
            except (RedisError, PyMongoError, OSError, TimeoutError) as exc:
                log.warning("Taking of work waits", error=str(exc), unclaimed=len(self._unclaimed))
                await asyncio.sleep(RETRY_S)
                continue
            if not is_busy:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(POLL_S):
                        await self._wake.wait()

    async def run_only(self, ticket: str) -> None:
        """Claim what this ticket stands for and run it to its end, unless stopped before."""
        self._unclaimed = [ticket]
        while self._unclaimed and not self._stopping:
            try:
                await self._claim()
            except (RedisError, PyMongoError, OSError, TimeoutError) as exc:
                log.warning("A claim waits", error=str(exc), ticket=ticket)
                await asyncio.sleep(RETRY_S)
        pending = set(self.tasks.values())
        while pending and not self._stopping:
            _, pending = await asyncio.wait(pending, timeout=POLL_S)

    async def _poll(self) -> bool:
        free = self.max_jobs - len(self.tasks) - len(self._unclaimed)
        taken = await self._queue.take(free) if free > 0 else []
        self._unclaimed += taken
        await self._claim()
        if len(taken) >= SEVERAL:
            await asyncio.sleep(PAUSE_S)
        return len(taken) == free > 0

    async def _claim(self) -> None:
        if not self._unclaimed:
            return
        self._claimed.clear()
        try:
            await self.start_jobs([ticket.encode() for ticket in self._unclaimed])
            self._unclaimed.clear()
        finally:
            self._claimed.set()

    async def start_jobs(self, job_ids: list[bytes]) -> None:
        """Claim these tickets in one batch and start what was won. Raises PyMongoError; it may be called again."""
        tickets: dict[str, TaskMessage] = {}
        for job_id in job_ids:
            try:
                tickets[job_id.decode()] = parse_ticket(job_id.decode())
            except (UnreadableMessage, UnicodeDecodeError) as exc:
                log.warning("Dropped a job that is no ticket", error=str(exc))
        won = await self._ledger.claim(list(tickets.values())) if tickets else []
        traces = await self._traces(list(tickets)) if is_on() and won else {}
        for task in won:
            self._start(task, traces)
        lost = tickets.keys() - {attempt.ticket for attempt in self.running.values()}
        await self._queue.forget(sorted(lost))

    async def _traces(self, tickets: list[str]) -> dict[str, str]:
        try:
            return await self._queue.traces(tickets)
        except (RedisError, DeserializationError, OSError, TimeoutError):
            return {}  # The tasks that were won start all the same, each in the trace of its submit.

    def _start(self, task: Task, traces: Mapping[str, str]) -> None:
        older = self.running.get(task.id)
        if older is not None:
            older.interrupt(Interruption.FENCED)
        trace = traces.get(TaskMessage(task.id, task.epoch - 1).ticket)
        attempt = Attempt(task, self._announcer.notice, trace)
        if task.cancel_requested_at is not None:  # Its notice may have come before this worker held the task.
            attempt.cancel(task.cancel_reason)
        self.running[task.id] = attempt
        self.tasks[attempt.ticket] = asyncio.create_task(self._run(attempt), name=f"attempt {attempt.ticket}")

    async def _run(self, attempt: Attempt) -> None:
        try:
            status = await self._runner.run(attempt)
            self.jobs_complete += status is TaskStatus.SUCCEEDED
            self.jobs_failed += status is TaskStatus.FAILED
            self.jobs_retried += status is TaskStatus.RETRYING
        finally:
            del self.tasks[attempt.ticket]
            if self.running.get(attempt.task_id) is attempt:
                del self.running[attempt.task_id]
            self._wake.set()
        with contextlib.suppress(
            RedisError, OSError, TimeoutError
        ):  # arq's leftovers expire; the reconciler puts again.
            await self._done_with.submit(attempt.ticket)
            if status is TaskStatus.QUEUED:
                ticket = TaskMessage(attempt.task_id, attempt.epoch + 1).ticket
                await self._queues.of(attempt.task.crashes).put([ticket])

    async def _forget(self, tickets: list[str]) -> list[None]:
        await self._queue.forget(tickets)
        return [None] * len(tickets)

    async def cancel_if_asked(self, task_id: UUID) -> None:
        """Stop a task whose cancel is recorded if it runs here, or is just being claimed.

        While MongoDB is away this does nothing: the beat finds it.
        """
        if task_id not in self.running:
            await self._claimed.wait()  # The claim may have read the task before the cancel was stored.
        if task_id not in self.running:
            return
        with contextlib.suppress(PyMongoError):
            for found, reason in (await self._ledger.cancel_requests([task_id])).items():
                if attempt := self.running.get(found):
                    attempt.cancel(reason)

    async def run_job(self, job_id: str, score: int) -> None:
        """Not a way in: a job is run by its claim."""
        raise NotImplementedError(f"{job_id}: start_jobs claims and runs tickets")

    async def renew_forever(self, beat: Beat) -> None:
        """Tell the beat that the loop lives, and keep arq's records of running jobs."""
        loop = asyncio.get_running_loop()
        renew_at = loop.time()
        while True:
            beat.ticked_at = time.monotonic()
            if loop.time() >= renew_at:
                renew_at = loop.time() + RENEW_EVERY_S
                with contextlib.suppress(RedisError, OSError, TimeoutError):
                    await self._queue.renew(list(self.tasks))
            await asyncio.sleep(RETRY_S)

    async def drain(self, deadline_s: float) -> None:
        """Wait for running tasks until the deadline, then hand the rest back: a deploy burns no try."""
        if self._unclaimed:
            with contextlib.suppress(RedisError, OSError, TimeoutError):
                await self._queue.forget(self._unclaimed)
                await self._queue.put(self._unclaimed)
        if self.tasks:
            await asyncio.wait(list(self.tasks.values()), timeout=deadline_s)
        for attempt in list(self.running.values()):
            attempt.interrupt(Interruption.SHUTDOWN)
        if self.tasks:
            await asyncio.wait(list(self.tasks.values()), timeout=deadline_s + 10.0)
