"""`python -m jobs.worker`: opens the connections, runs the worker until SIGTERM, drains, closes.

With a ticket, a name and its parent's pid as arguments it is a suspect's own worker: see jobs/worker/isolation.py.
"""

import asyncio
import contextlib
import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import Any
from uuid import UUID

from redis.asyncio import Redis

from core.alive import show_life
from core.cancellation import cancel_until_done
from core.connections import open_mongo, open_redis
from core.garbage import keep_what_is_here
from core.messages import cancel_channel
from core.settings import Settings
from core.streams import EventStreams
from core.telemetry import get_logger
from jobs.entry import on_stop_signal, run_process
from jobs.kinds import load_kinds
from jobs.ledger import Ledger
from jobs.monitoring import serve_metrics
from jobs.processes import Processes
from jobs.progress import Announcer
from jobs.queue import RunQueues, suspects_wake_channel, wake_channel
from jobs.runner import CANCEL_GRACE_S, Runner
from jobs.wakeups import listen
from jobs.worker.arq_worker import TaskWorker
from jobs.worker.beat import Beat
from jobs.worker.isolation import Isolation, watch_parent

END_S = CANCEL_GRACE_S + 2.0
"""What handing back may take after the draining, before a suspect's process is killed: its code has the whole grace to
yield, and only then is the task given back."""
ALONE = {"worker_slots": 1, "worker_processes": 1, "mongo_pool_min": 0, "metrics_port": 0}

log = get_logger("jobs.worker")


async def run(settings: Settings, name: str, ticket: str | None = None) -> None:
    """Run one worker until SIGTERM or SIGINT; with a ticket only that one task, alone. Raises StartupError."""
    async with contextlib.AsyncExitStack() as stack:
        mongo = await open_mongo(settings, has_indexes=ticket is not None)
        stack.push_async_callback(mongo.close)
        redis = await open_redis(settings)
        stack.push_async_callback(redis.aclose)
        ledger = Ledger(name, has_broker=settings.broker != "direct")
        stack.push_async_callback(ledger.aclose)
        announcer = Announcer(EventStreams(redis, settings.namespace), ledger)
        processes = await stack.enter_async_context(Processes(settings.worker_processes, settings.extra_kinds))
        if ticket is None:
            await processes.warm_up()
        queues = RunQueues(redis, settings.namespace)
        runner = Runner(load_kinds(settings.extra_kinds), ledger, announcer, processes)
        worker = TaskWorker(
            redis, queues, ledger, announcer, runner, slots=settings.worker_slots, is_alone=ticket is not None
        )
        beat = Beat(settings, name, worker.running)
        beat.start()
        stack.callback(beat.stop)
        if settings.metrics_port:
            serve_metrics(settings)
        loops = [announcer.run(), announcer.record_forever(), worker.renew_forever(beat)]
        if ticket is None:
            isolation = Isolation(queues.suspects, ledger, announcer, patience_s=settings.drain_s + END_S)
            loops.append(show_life(settings.alive_file))
            await _work(settings, redis, worker, isolation, loops, worker.main())
        else:
            await _work(settings, redis, worker, None, loops, worker.run_only(ticket))
        await announcer.flush()
    log.info("Worker has stopped")


async def _work(
    settings: Settings,
    redis: Redis,
    worker: TaskWorker,
    isolation: Isolation | None,
    loops: Sequence[Coroutine[Any, Any, None]],
    work: Coroutine[Any, Any, None],
) -> None:
    """Run `loops` beside the work until that is done or was stopped, and what the worker still runs is drained."""

    def stop() -> None:
        worker.stop()
        if isolation is not None:
            isolation.stop()

    on_stop_signal(stop)
    async with asyncio.TaskGroup() as group:

        def on_cancel(data: bytes) -> None:
            try:
                task_id = UUID(data.decode())
            except ValueError:
                return  # No task's id: whatever said it, a worker doesn't end of it.
            group.create_task(worker.cancel_if_asked(task_id), name="cancel")

        handlers: dict[str, Callable[[bytes], None]] = {
            wake_channel(settings.namespace): worker.wake,
            cancel_channel(settings.namespace): on_cancel,
        }
        suspects = None
        if isolation is not None:
            handlers[suspects_wake_channel(settings.namespace)] = isolation.wake
            suspects = group.create_task(isolation.run(), name="suspects")
        beside = [group.create_task(loop, name="worker loop") for loop in (*loops, listen(redis, handlers))]
        keep_what_is_here()
        log.info("Worker is ready", slots=settings.worker_slots, processes=settings.worker_processes)
        await work
        log.info("Worker drains", running=len(worker.running))
        await worker.drain(settings.drain_s)
        if suspects is not None:
            await suspects
        await cancel_until_done(beside)


def main(argv: Sequence[str]) -> int:
    """Run the worker that the arguments ask for; return the exit code."""
    if not argv:
        return run_process("worker", run)
    ticket, name, parent = argv

    async def run_alone(settings: Settings, own_name: str) -> None:
        watch_parent(int(parent), settings.drain_s + END_S)
        await run(settings.model_copy(update=ALONE), own_name, ticket)

    return run_process("worker", run_alone, name)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
