"""`python -m jobs.bridge`: opens the connections, pumps tasks to arq and, while it leads, reconciles; until SIGTERM."""

import asyncio
import contextlib
import sys
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pymongo.errors import PyMongoError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from core.alive import show_life
from core.cancellation import cancel_until_done
from core.clock import utc_now
from core.connections import open_amqp, open_mongo, open_redis
from core.garbage import keep_what_is_here
from core.messages import bridge_wake_channel
from core.publisher import DirectPublisher, Publisher, RabbitPublisher
from core.settings import Settings
from core.streams import EventStreams
from core.telemetry import get_logger
from jobs.bridge.backlog import measure_forever
from jobs.bridge.leader import Leadership
from jobs.bridge.pump import Pump
from jobs.bridge.sources import PREFETCH, MongoSource, RabbitSource, Source
from jobs.entry import on_stop_signal, run_process
from jobs.ledger import LEASE_S, Ledger
from jobs.monitoring import serve_metrics
from jobs.queue import RunQueues
from jobs.reconciler import Backlog, Reconciler
from jobs.wakeups import listen

SCAN_EVERY_S = 1.0
SLOW_S = 2.0
"""A renewal of the leader's own lease that takes so long leaves beats, which are larger, too little time."""
DUE_GAP_S = 0.1
"""How often, at most, a bridge looks for what falls due."""

log = get_logger("jobs.bridge")


async def lead(leadership: Leadership, reconciler: Reconciler) -> None:
    """Scan every second while this bridge leads, until cancelled.

    After a gap in anybody's access to MongoDB, and after an answer that was so slow that beats may have been given up,
    no lease is judged for one full lease: an outage of the database, or its overload, is not a mass death of workers.
    """
    doubts_until = 0.0
    while True:
        started, has_led = time.monotonic(), leadership.leads
        try:
            before = await leadership.hold()
            answered = time.monotonic()
            if answered - started > SLOW_S:
                log.warning("MongoDB is slow; no lease is judged for now", took_s=round(answered - started, 1))
                doubts_until = answered + LEASE_S
            if before is not None:
                if utc_now() - before > timedelta(seconds=LEASE_S / 2):
                    doubts_until = answered + LEASE_S
                if not has_led:
                    log.info("This bridge leads")
                await reconciler.scan(judges_leases=answered >= doubts_until)
                await start_due_until(started + SCAN_EVERY_S, reconciler)
        except PyMongoError as exc:
            log.warning("Reconciling waits for MongoDB", error=str(exc))
            doubts_until = time.monotonic() + LEASE_S
        except (RedisError, OSError, TimeoutError) as exc:
            log.warning("Reconciling waits for Redis", error=str(exc))
        await asyncio.sleep(max(0.0, SCAN_EVERY_S - (time.monotonic() - started)))


async def start_due_until(end: float, reconciler: Reconciler) -> None:
    """Start what falls due before `end` at its time: a scan a second alone would start it up to a second late."""
    while (due_s := await reconciler.next_due_s()) < end - time.monotonic():
        await asyncio.sleep(max(due_s, DUE_GAP_S))
        await reconciler.start_due()


@dataclass(frozen=True)
class Supply:
    """Where this bridge takes tasks from and publishes them to, and what has to run beside it for that."""

    source: Source
    publisher: Publisher
    backlog: Backlog | None
    loops: Sequence[Coroutine[Any, Any, None]] = ()


async def open_supply(settings: Settings, redis: Redis, stack: contextlib.AsyncExitStack) -> Supply:
    """Open the broker that the settings name; `stack` closes it. Raises StartupError."""
    if settings.broker == "direct":
        direct = MongoSource()
        wakeups = listen(redis, {bridge_wake_channel(settings.namespace): direct.wake})
        return Supply(direct, DirectPublisher(redis, settings.namespace), None, [wakeups])
    connection = await open_amqp(settings)
    stack.push_async_callback(connection.close)
    rabbit = RabbitSource(connection, settings.namespace, prefetch=min(settings.bridge_window, PREFETCH))
    await rabbit.open()
    return Supply(rabbit, RabbitPublisher(connection, settings.namespace), rabbit)


async def run(settings: Settings, name: str) -> None:
    """Run one bridge until SIGTERM or SIGINT. Raises StartupError."""
    stopping = asyncio.Event()
    on_stop_signal(stopping.set)
    async with contextlib.AsyncExitStack() as stack:
        mongo = await open_mongo(settings)
        stack.push_async_callback(mongo.close)
        redis = await open_redis(settings)
        stack.push_async_callback(redis.aclose)
        ledger = Ledger(name, has_broker=settings.broker != "direct")
        stack.push_async_callback(ledger.aclose)
        streams = EventStreams(redis, settings.namespace)
        queues = RunQueues(redis, settings.namespace)
        supply = await open_supply(settings, redis, stack)
        leadership = Leadership(mongo[settings.mongo_database]["leases"], name)
        reconciler = Reconciler(ledger, streams, queues, supply.publisher, supply.backlog)
        stack.push_async_callback(reconciler.aclose)
        loops = [
            *supply.loops,
            Pump(supply.source, queues.common, ledger, streams, settings.bridge_window).run(),
            lead(leadership, reconciler),
            show_life(settings.alive_file),
        ]
        if settings.metrics_port:
            serve_metrics(settings)
            loops.append(measure_forever(leadership, queues))
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(loop, name=f"bridge loop {number}") for number, loop in enumerate(loops)]
            keep_what_is_here()
            log.info("Bridge is ready", broker=settings.broker, window=settings.bridge_window)
            await stopping.wait()
            await cancel_until_done(tasks)
        with contextlib.suppress(PyMongoError):
            await leadership.resign()
    log.info("Bridge has stopped")


if __name__ == "__main__":
    sys.exit(run_process("bridge", run))
