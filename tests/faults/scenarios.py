"""The faults, one function each: what is done to the system while the load is in flight.

Each returns how long the system took to notice, in seconds, or None where there is nothing to notice.
"""

import asyncio
import random
import signal
import time
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

from core.clock import utc_now
from core.documents import DeadLetter
from core.messages import TaskMessage, encode_messages, queue_name
from core.states import HELD, TERMINAL, Priority, TaskStatus
from tests.faults.load import Load, Sort
from tests.faults.world import BRIDGES, GATEWAYS, NAMESPACE, WORKERS, until

Scenario = Callable[[Load], Awaitable[float | None]]
FROZEN_S = 16.0
"""Longer than a lease (10 s) and the scan that finds it."""
UNTOLD_WITHIN_S = 8.0
"""Shorter than a lease, so that the kill is what takes the worker's tasks away."""
OUTAGE_S = 20.0
MONGO_OUTAGE_S = 10.0
RANDOM_S = 60.0


async def quiet(load: Load) -> None:
    """Nothing happens."""


async def _held_by(load: Load, pid: int) -> dict[str, Any]:
    """Return the query for what a worker process holds now."""
    query = {"lease.worker": {"$regex": f"-{pid}-"}, "status": {"$in": sorted(HELD)}}
    return {"$or": [{"_id": task["_id"], "epoch": task["epoch"]} async for task in load.world.tasks.find(query)]}


async def _until_taken_over(load: Load, held: dict[str, Any], since: float, within_s: float = 60.0) -> float | None:
    """Wait until somebody else has every one of these tasks; return how long that took since then."""
    if not held["$or"]:
        return None
    still = {**held, "status": {"$in": sorted(HELD)}}

    async def taken() -> bool:
        return not await load.world.tasks.count_documents(still)

    await until(taken, within_s)
    return time.monotonic() - since


async def worker_killed(load: Load) -> float | None:
    """kill -9 of a worker that is busy."""
    held = await _held_by(load, load.world.kill("worker-1"))
    return await _until_taken_over(load, held, time.monotonic())


async def worker_killed_before_it_told(load: Load) -> float | None:
    """kill -9 of a worker after ends are written to MongoDB and before they reach Redis, which is frozen meanwhile."""
    redis, pid = load.world.servers.redis, load.world.pid("worker-1")
    redis.signal(signal.SIGSTOP)
    untold = {"status": {"$in": sorted(TERMINAL)}, "finished_at": {"$gt": utc_now()}}

    async def some_ended() -> bool:
        """Whether it has ended some tasks of which nobody can have heard, one of them with a subscriber."""
        ended = [
            task["_id"]
            async for task in load.world.tasks.find(untold, {"timeline": {"$slice": -1}})
            if f"-{pid}-" in task["timeline"][-1]["by"]
        ]
        return len(ended) >= 3 and not load.followed.isdisjoint(ended)

    try:
        await until(some_ended, UNTOLD_WITHIN_S)
        held = await _held_by(load, pid)
        load.world.kill("worker-1")
        killed_at = time.monotonic()
    finally:
        redis.signal(signal.SIGCONT)
    return await _until_taken_over(load, held, killed_at)


async def bridge_killed(load: Load) -> float | None:
    """kill -9 of the bridge that leads; another process has to."""
    pid = load.world.kill(await load.world.leader())
    killed_at = time.monotonic()

    async def other_leads() -> bool:
        lease = await load.world.database["leases"].find_one({"_id": "reconciler"})
        return lease is not None and f"-{pid}-" not in lease["holder"]

    await until(other_leads, 30)
    return time.monotonic() - killed_at


async def gateway_killed(load: Load) -> None:
    """kill -9 of a gateway with half of the subscribers on it."""
    pid = load.world.kill("gateway-1")
    await load.world.until_restarted("gateway-1", pid)


async def each_and_any_killed(load: Load) -> None:
    """kill -9 of each process in turn, then of one at random every few seconds for a minute."""
    for role in (*WORKERS, *BRIDGES, *GATEWAYS):
        await load.world.until_restarted(role, load.world.kill(role))
    give_up = time.monotonic() + RANDOM_S
    while time.monotonic() < give_up:
        role = random.choice((*WORKERS, *BRIDGES, *GATEWAYS))
        await load.world.until_restarted(role, load.world.kill(role))
        await asyncio.sleep(random.uniform(1, 5))


async def worker_frozen(load: Load) -> float | None:
    """SIGSTOP of a worker past its lease, then SIGCONT: it wakes up holding tasks that run elsewhere."""
    held = await _held_by(load, load.world.signal("worker-1", signal.SIGSTOP))
    stopped_at = time.monotonic()
    try:
        detected_s = await _until_taken_over(load, held, stopped_at)
        await asyncio.sleep(max(0.0, FROZEN_S - (time.monotonic() - stopped_at)))
    finally:
        load.world.signal("worker-1", signal.SIGCONT)
    return detected_s


async def redis_emptied(load: Load) -> None:
    """Redis dies and comes back knowing nothing."""
    redis = load.world.servers.redis
    await redis.kill()
    await redis.empty()
    await redis.start()


async def redis_away(load: Load) -> None:
    """Redis is down for 20 s."""
    await load.world.servers.redis.kill()
    await asyncio.sleep(OUTAGE_S)
    await load.world.servers.redis.start()


async def rabbitmq_restarted(load: Load) -> None:
    """RabbitMQ is stopped and started."""
    await load.world.servers.rabbitmq.stop()
    await load.world.servers.rabbitmq.start()


async def rabbitmq_away(load: Load) -> None:
    """RabbitMQ is down for 20 s, while more is submitted."""
    await load.world.servers.rabbitmq.stop()
    late = Sort("late", 0, "tell", {"steps": 2, "pauseS": 0.1})
    for _ in range(20):
        await load.submit_one(late)
    await asyncio.sleep(OUTAGE_S)
    await load.world.servers.rabbitmq.start()


async def mongodb_away(load: Load) -> None:
    """MongoDB is down for 10 s."""
    await load.world.servers.mongodb.stop()
    await asyncio.sleep(MONGO_OUTAGE_S)
    await load.world.servers.mongodb.start()


async def mongodb_killed(load: Load) -> None:
    """MongoDB is killed right after it acknowledged more tasks, and started again."""
    last = Sort("last", 0, "tell", {"steps": 2, "pauseS": 0.1})
    for _ in range(20):
        await load.submit_one(last)
    await load.world.servers.mongodb.kill()
    await load.world.servers.mongodb.start()


async def rolling_stop(load: Load) -> None:
    """SIGTERM of every process, one after the other, as a deploy does it."""
    for role in (*GATEWAYS, *BRIDGES, *WORKERS):
        await load.world.until_restarted(role, load.world.signal(role, signal.SIGTERM))


async def messages_repeated(load: Load) -> None:
    """Every message once more, in any order, also of tasks that have ended."""
    bodies = [encode_messages([TaskMessage(task_id, 1)]) for task_id in load.sorts]
    random.shuffle(bodies)
    await load.world.publish(bodies, queue_name(NAMESPACE, Priority.HIGH))


async def messages_poisoned(load: Load) -> None:
    """Messages that nobody can read, or that name what is not there."""
    unknown = [encode_messages([TaskMessage(uuid4(), epoch)]) for epoch in (1, 2**62)]
    impossible = [encode_messages([TaskMessage(uuid4(), epoch)]) for epoch in (-1, 0, 2**63, 10**30)]
    deep = b'{"x":' + b"[" * 50_000 + b"]" * 50_000 + b"}"
    unreadable = [b"", b"\xff\xfe", b"[]", b'{"task_id":"x","epoch":1}', b"null" * 50_000, deep, *impossible]
    dead = load.world.tasks.database[DeadLetter.Settings.name]
    before = await dead.count_documents({})
    await load.world.publish([*unreadable, *unknown], queue_name(NAMESPACE, Priority.NORMAL))

    async def all_buried() -> bool:
        return bool(await dead.count_documents({}) - before == len(unreadable))

    await until(all_buried, 180)  # They wait their turn behind all normal tasks.


async def task_kills_workers(load: Load) -> None:
    """A task that kills whatever worker runs it: it fails after three, and nobody else does for its sake."""
    deadly = await load.submit_one(Sort("deadly", 0, "deadly", {}, frozenset({TaskStatus.FAILED})))

    async def has_failed() -> bool:
        return bool(await load.world.tasks.count_documents({"_id": deadly, "error.code": "WORKER_LOST"}))

    await until(has_failed, 180)


async def slow_reader(load: Load) -> None:
    """Subscribers that read five events a second, of tasks that tell twenty."""
    sort = Sort("slow reader's", 0, "tell", {"steps": 60, "pauseS": 0.05})
    for _ in range(10):
        load.follow(await load.submit_one(sort), pause_after_next_s=0.2)


async def late_and_early(load: Load) -> None:
    """Subscribers that come after the end; and one for a task that there is not, which is told so."""
    ended = load.world.tasks.find({"_id": {"$in": list(load.sorts)}, "status": {"$in": sorted(TERMINAL)}}).limit(20)
    async for task in ended:
        load.follow(task["_id"])
    load.follow_nobody(uuid4())


SCENARIOS: dict[str, Scenario] = {
    scenario.__name__: scenario
    for scenario in (
        quiet,
        worker_killed,
        worker_killed_before_it_told,
        bridge_killed,
        gateway_killed,
        each_and_any_killed,
        worker_frozen,
        redis_emptied,
        redis_away,
        rabbitmq_restarted,
        rabbitmq_away,
        mongodb_away,
        mongodb_killed,
        rolling_stop,
        messages_repeated,
        messages_poisoned,
        task_kills_workers,
        slow_reader,
        late_and_early,
    )
}
