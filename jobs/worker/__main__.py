"""`python -m jobs.worker`: opens the connections, runs the worker until SIGTERM, drains, closes."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable
from uuid import UUID

from core.cancellation import cancel_until_done
from core.connections import open_mongo, open_redis
from core.messages import cancel_channel
from core.settings import Settings
from core.streams import EventStreams
from core.telemetry import get_logger
from jobs.entry import run_process
from jobs.kinds import load_kinds
from jobs.ledger import Ledger
from jobs.processes import Processes
from jobs.progress import Announcer
from jobs.queue import RunQueue, wake_channel
from jobs.runner import Runner
from jobs.wakeups import listen
from jobs.worker.arq_worker import TaskWorker
from jobs.worker.beat import Beat

log = get_logger("jobs.worker")


async def run(settings: Settings, name: str) -> None:
    """Run one worker until SIGTERM or SIGINT. Raises StartupError."""
    async with contextlib.AsyncExitStack() as stack:
        mongo = await open_mongo(settings)
        stack.push_async_callback(mongo.close)
        redis = await open_redis(settings)
        stack.push_async_callback(redis.aclose)
        ledger = Ledger(name)
        stack.push_async_callback(ledger.aclose)
        announcer = Announcer(EventStreams(redis, settings.namespace), ledger)
        processes = await stack.enter_async_context(Processes(settings.worker_processes, settings.extra_kinds))
        await processes.warm_up()
        queue = RunQueue(redis, settings.namespace)
        runner = Runner(load_kinds(settings.extra_kinds), ledger, announcer, processes)
        worker = TaskWorker(redis, queue, ledger, announcer, runner, slots=settings.worker_slots)
        for signum in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(signum, worker.stop)
        beat = Beat(settings, name, worker.running)
        beat.start()
        stack.callback(beat.stop)

        async with asyncio.TaskGroup() as group:

            def on_cancel(data: bytes) -> None:
                if data and UUID(data.decode()) in worker.running:
                    group.create_task(worker.cancel_if_asked(UUID(data.decode())), name="cancel")

            handlers: dict[str, Callable[[bytes], None]] = {
                wake_channel(settings.namespace): worker.wake,
                cancel_channel(settings.namespace): on_cancel,
            }
            loops = [
                group.create_task(announcer.run(), name="announcer"),
                group.create_task(announcer.record_forever(), name="progress to MongoDB"),
                group.create_task(listen(redis, handlers), name="wake-ups"),
                group.create_task(worker.renew_forever(beat), name="renewal"),
            ]
            log.info("Worker is ready", slots=settings.worker_slots, processes=settings.worker_processes)
            await worker.main()
            log.info("Worker drains", running=len(worker.running))
            await worker.drain(settings.drain_s)
            await cancel_until_done(loops)
        await announcer.flush()
    log.info("Worker has stopped")


if __name__ == "__main__":
    sys.exit(run_process("worker", run))
