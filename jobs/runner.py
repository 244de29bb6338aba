"""Runs one claimed attempt from its start to the stored end: timeout, cancel, retry, and who may still write."""

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import structlog
from pydantic import ValidationError
from pymongo.errors import BulkWriteError, PyMongoError

from core.clock import utc_now
from core.documents import TaskFailure
from core.events import Cursor
from core.states import TaskStatus
from core.streams import StreamEvent
from core.telemetry import get_logger
from core.tracing import SpanKind, current_trace, span
from core.transition import Transition
from core.transitions import cancelled, cancelling, failed, requeued, retrying, succeeded
from jobs.attempt import Attempt, Interruption
from jobs.context import LoopContext
from jobs.dead_letters import bury_task
from jobs.kinds import Kind
from jobs.ledger import Ledger, is_too_large
from jobs.losses import is_suspect
from jobs.metrics import ATTEMPT_SECONDS, ATTEMPTS, LOSSES
from jobs.outcome import Died, Outcome, Raised, Returned, Stopped, raised, returned
from jobs.processes import Processes
from jobs.progress import Announcer

CANCEL_GRACE_S = 5.0
"""How long code may take to yield before it is left behind (a coroutine) or has been killed (a process)."""
KILLS = 5
"""How often code is asked to yield within the grace: a driver may swallow one cancellation (see core.cancellation)."""
RETRY_BASE_S = 1.0
RETRY_CAP_S = 60.0
MONGO_RETRY_S = 0.5

log = get_logger(__name__)


def backoff_s(failures: int) -> float:
    """Return how long to wait before the attempt after the `failures`-th failure: exponential with full jitter
    (AWS Architecture Blog, "Exponential Backoff And Jitter", 2015)."""
    return random.uniform(0, min(RETRY_CAP_S, RETRY_BASE_S * 2 ** min(failures, 16)))


class Runner:
    """Runs attempts of the installed kinds for one worker."""

    def __init__(self, kinds: Mapping[str, Kind], ledger: Ledger, announcer: Announcer, processes: Processes) -> None:
        self._kinds = kinds
        self._ledger = ledger
        self._announcer = announcer
        self._processes = processes
        self._left: set[asyncio.Future[Outcome]] = set()

    async def run(self, attempt: Attempt) -> TaskStatus | None:
        """Run the attempt; return the status it was stored with, None if it had lost its epoch and wrote nothing.

        While MongoDB is away it waits with the end in hand; it is not to be cancelled but interrupted.
        """
        began, task = time.monotonic(), attempt.task
        kind = task.kind if task.kind in self._kinds else "unknown"
        structlog.contextvars.bind_contextvars(correlation_id=task.correlation_id, task_id=str(task.id))
        with span(f"run {kind}", SpanKind.CONSUMER, attempt.trace) as running:
            status = await self._run(attempt)
            came_to = status or Interruption.FENCED.name
            running.note({"headway.task_id": str(task.id), "headway.attempt": task.attempt, "headway.status": came_to})
            log.debug("Attempt ended", attempt=task.attempt, status=came_to)
        ATTEMPTS.labels(kind, came_to).inc()
        ATTEMPT_SECONDS.labels(kind).observe(time.monotonic() - began)
        return status

    async def _run(self, attempt: Attempt) -> TaskStatus | None:
        task = attempt.task
        self._announcer.tell(*attempt.claimed())
        kind = self._kinds.get(task.kind)
        outcome: Outcome
        if attempt.interruption is not None:
            outcome = Stopped(is_forced=False)  # It was cancelled before it was claimed: not a line of it is to run.
        elif kind is None:
            outcome = Raised("UNKNOWN_KIND", f"no kind {task.kind} is installed here", is_permanent=True)
        else:
            outcome = await self._execute(attempt, kind)
        if attempt.interruption is Interruption.FENCED:
            self._announcer.forget(attempt)
            log.warning("Attempt lost its task", epoch=attempt.epoch)
            return None
        if isinstance(outcome, Raised) and outcome.trace:
            log.warning("Attempt failed", kind=task.kind, trace=outcome.trace)
        try:
            status = await self._write(attempt, lambda cursor: self._end(attempt, outcome, cursor))
        except BulkWriteError:
            log.warning("An end is too large", kind=task.kind)
            refused = Raised("BAD_RESULT", "with its input it is larger than MongoDB stores", is_permanent=True)
            status = await self._write(attempt, lambda cursor: self._end(attempt, refused, cursor))
        if isinstance(outcome, Died) and status is not None:
            LOSSES.labels("process").inc()
        if kind is None and status is TaskStatus.FAILED:
            await bury_task(task, f"The kind {task.kind} is not installed on the worker that got the task")
        return status

    async def _execute(self, attempt: Attempt, kind: Kind) -> Outcome:
        try:
            work, kill = self._start(attempt, kind)
        except ValidationError as exc:
            return Raised("BAD_USER_INPUT", f"the kind no longer takes this input: {exc.error_count()} errors", True)
        first: set[asyncio.Future[Any]] = {work, attempt.interrupted}
        await asyncio.wait(first, timeout=attempt.task.timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            attempt.interrupt(Interruption.TIMEOUT)
            if attempt.interruption is Interruption.CANCEL:
                await self._announce_cancelling(attempt)
            for _ in range(KILLS):
                kill()
                if (await asyncio.wait({work}, timeout=CANCEL_GRACE_S / KILLS))[0]:
                    break
        if not work.done():
            self._left.add(work)  # Its epoch is about to be spent, so whatever it still does reaches no one.
            work.add_done_callback(self._left.discard)
            return Stopped(is_forced=True)
        return work.result()

    def _start(self, attempt: Attempt, kind: Kind) -> tuple[asyncio.Future[Outcome], Callable[[], object]]:
        if kind.is_cpu_bound:
            return self._processes.start(attempt, kind)
        values = kind.input_model.model_validate(attempt.task.input)
        context = LoopContext(attempt, self._ledger)

        async def outcome() -> Outcome:
            try:
                return returned(await kind.function(context, values), kind.result_model)
            except Exception as exc:  # noqa: BLE001  # Whatever a kind raises is the outcome of its attempt.
                return raised(exc)
            except asyncio.CancelledError:
                if attempt.interruption is None:
                    return raised(RuntimeError("the kind cancelled itself"))
                return Stopped(is_forced=False)

        work = asyncio.create_task(outcome(), name=f"{kind.name} {attempt.task_id}")
        return work, work.cancel

    async def _announce_cancelling(self, attempt: Attempt) -> None:
        task = attempt.task
        await self._write(
            attempt,
            lambda cursor: cancelling(
                task.id, cursor, by=self._ledger.actor, reason=task.cancel_reason, told=attempt.told()
            ),
        )

    async def _write(self, attempt: Attempt, build: Callable[[Cursor], Transition]) -> TaskStatus | None:
        """Write the next state under a reserved id, then tell it; what the attempt said before is told at once."""
        attempt.is_writing_state = True
        if said := attempt.take_news():
            self._announcer.tell(*said)
        transition = build(attempt.reserve())
        event = await self._commit(attempt, transition)
        attempt.is_writing_state = False
        if event is None or transition.status is not TaskStatus.CANCELLING:
            self._announcer.forget(attempt)
        if event is None:
            attempt.interrupt(Interruption.FENCED)
            return None
        self._announcer.tell(event._replace(trace=current_trace()) if event.ends else event)
        return transition.status

    async def _commit(self, attempt: Attempt, transition: Transition) -> StreamEvent | None:
        while True:
            try:
                return await self._ledger.commit(transition, attempt.task.attempt)
            except PyMongoError as exc:
                if isinstance(exc, BulkWriteError) and is_too_large(exc):
                    raise
                log.warning("A state waits for MongoDB", error=str(exc))
                await asyncio.sleep(MONGO_RETRY_S)

    def _end(self, attempt: Attempt, outcome: Outcome, cursor: Cursor) -> Transition:
        task, by, told = attempt.task, self._ledger.actor, attempt.told()
        match outcome:
            case Returned(result):
                return succeeded(task.id, cursor, by=by, result=result, told=told)
            case Raised():
                return self._fail(attempt, TaskFailure(code=outcome.code, message=outcome.message), outcome, cursor)
            case Died() if attempt.interruption is Interruption.CANCEL:
                return self._stop(attempt, is_forced=False, cursor=cursor)
            case Died(reason):
                if is_suspect(task.crashes):
                    error = TaskFailure(code="WORKER_LOST", message=f"{reason}, the last of {task.crashes + 1} times")
                    return failed(task.id, cursor, by=by, error=error, failures=task.failures, told=told)
                task.crashes += 1
                return requeued(task.id, attempt.epoch, by=by, reason=reason, crashes=task.crashes, told=told)
            case Stopped(is_forced):
                return self._stop(attempt, is_forced, cursor)

    def _stop(self, attempt: Attempt, is_forced: bool, cursor: Cursor) -> Transition:
        task, by = attempt.task, self._ledger.actor
        if attempt.interruption is Interruption.CANCEL:
            forced = TaskFailure(code="FORCED", message=f"the code did not yield within {CANCEL_GRACE_S:g} s")
            return cancelled(
                task.id,
                cursor,
                by=by,
                reason=task.cancel_reason,
                error=forced if is_forced else None,
                told=attempt.told(),
            )
        if attempt.interruption is Interruption.SHUTDOWN:
            return requeued(task.id, attempt.epoch, by=by, reason="its worker shuts down", told=attempt.told())
        error = TaskFailure(code="TIMEOUT", message=f"the attempt took longer than {task.timeout_s:g} s")
        return self._fail(attempt, error, Raised(error.code, error.message, is_permanent=False), cursor)

    def _fail(self, attempt: Attempt, error: TaskFailure, outcome: Raised, cursor: Cursor) -> Transition:
        task, by, told = attempt.task, self._ledger.actor, attempt.told()
        failures = task.failures + 1
        if attempt.interruption is Interruption.CANCEL:
            return cancelled(task.id, cursor, by=by, reason=task.cancel_reason, error=error, told=told)
        if outcome.is_permanent or failures >= task.max_attempts:
            return failed(task.id, cursor, by=by, error=error, failures=failures, told=told)
        run_at = utc_now() + timedelta(seconds=backoff_s(failures))
        return retrying(task.id, cursor, by=by, error=error, failures=failures, run_at=run_at, told=told)
