"""`python -m jobs.bridge`: opens the connections, pumps tasks to arq and, while it leads, reconciles; until SIGTERM."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from datetime import timedelta
from uuid import uuid4

import structlog
import uvloop
from pymongo.errors import PyMongoError
from redis.exceptions import RedisError

from core.clock import utc_now
from core.connections import open_amqp, open_mongo, open_redis
from core.errors import StartupError
from core.messages import bridge_wake_channel
from core.publisher import DirectPublisher, Publisher, RabbitPublisher
from core.settings import Settings
from core.streams import EventStreams
from core.telemetry import configure_logging, get_logger
from jobs.bridge.leader import Leadership
from jobs.bridge.pump import Pump
from jobs.bridge.sources import MongoSource, RabbitSource, Source
from jobs.cancellation import cancel_until_done
from jobs.ledger import LEASE_S, Ledger
from jobs.queue import RunQueue
from jobs.reconciler import Backlog, Reconciler
from jobs.wakeups import listen

SCAN_EVERY_S = 1.0

log = get_logger("jobs.bridge")


async def lead(leadership: Leadership, reconciler: Reconciler) -> None:
    """Scan every second while this bridge leads, until cancelled.

    After a gap in anybody's access to MongoDB no lease is judged for one full lease: an outage of the database is not
    a mass death of workers.
    """
    judges_at = time.monotonic() + LEASE_S
    leads = False
    while True:
        started = time.monotonic()
        try:
            before = await leadership.hold()
            if before is not None and not leads:
                log.info("This bridge leads")
                if utc_now() - before > timedelta(seconds=LEASE_S / 2):
                    judges_at = time.monotonic() + LEASE_S
                else:
                    judges_at = time.monotonic()
            leads = before is not None
            if leads:
                await reconciler.scan(judges_leases=time.monotonic() >= judges_at)
        except PyMongoError as exc:
            log.warning("Reconciling waits for MongoDB", error=str(exc))
            judges_at = time.monotonic() + LEASE_S
        except (RedisError, OSError, TimeoutError) as exc:
            log.warning("Reconciling waits for Redis", error=str(exc))
        await asyncio.sleep(max(0.0, SCAN_EVERY_S - (time.monotonic() - started)))


async def run(settings: Settings) -> None:
    """Run one bridge until SIGTERM or SIGINT. Raises StartupError."""
    name = f"bridge-{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:6]}"
    structlog.contextvars.bind_contextvars(bridge=name)
    stopping = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stopping.set)
    async with contextlib.AsyncExitStack() as stack:
        mongo = await open_mongo(settings)
        stack.push_async_callback(mongo.close)
        redis = await open_redis(settings)
        stack.push_async_callback(redis.aclose)
        ledger = Ledger(name)
        stack.push_async_callback(ledger.aclose)
        streams = EventStreams(redis, settings.namespace)
        queue = RunQueue(redis, settings.namespace)
        jobs = []
        backlog: Backlog | None = None
        if settings.broker == "rabbitmq":
            connection = await open_amqp(settings)
            stack.push_async_callback(connection.close)
            rabbit = RabbitSource(connection, settings.namespace, prefetch=settings.bridge_window)
            await rabbit.open()
            backlog = rabbit
            source: Source = rabbit
            publisher: Publisher = RabbitPublisher(connection, settings.namespace)
        else:
            direct = MongoSource()
            jobs.append(listen(redis, {bridge_wake_channel(settings.namespace): direct.wake}))
            source = direct
            publisher = DirectPublisher(redis, settings.namespace)
        leadership = Leadership(mongo[settings.mongo_database]["leases"], name)
        reconciler = Reconciler(ledger, streams, queue, publisher, backlog)
        jobs += [
            Pump(source, queue, ledger, streams, settings.bridge_window).run(),
            lead(leadership, reconciler),
        ]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(job, name=f"bridge job {number}") for number, job in enumerate(jobs)]
            log.info("Bridge is ready", broker=settings.broker, window=settings.bridge_window)
            await stopping.wait()
            await cancel_until_done(tasks)
        with contextlib.suppress(PyMongoError):
            await leadership.resign()
    log.info("Bridge has stopped")


def main() -> int:
    """Run the bridge process; return its exit code."""
    settings = Settings()
    configure_logging(settings, "bridge")
    try:
        uvloop.run(run(settings))
    except StartupError as exc:
        print(f"headway bridge: {exc}", file=sys.stderr)  # noqa: T201  # One line for the operator, not a log record.
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
