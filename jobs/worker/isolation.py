"""Runs suspects, each in a worker process of its own, and says of one that dies there that it was to blame.

The parent's half starts and watches the processes; `watch_parent` is the child's. A child leads a session of its own,
so that it is not killed together with a parent whom another task kills; it then drains as on SIGTERM.
"""

import asyncio
import contextlib
import os
import signal
import sys
import threading
from asyncio.subprocess import DEVNULL, Process
from uuid import uuid4

from pymongo.errors import PyMongoError
from redis.exceptions import RedisError

from core.documents import Task
from core.messages import UnreadableMessage, parse_ticket
from core.states import CLAIMABLE
from core.telemetry import get_logger
from jobs.ledger import Ledger
from jobs.losses import judge
from jobs.metrics import LOSSES, SUSPECTS
from jobs.progress import Announcer
from jobs.queue import RunQueue

AT_ONCE = 2
"""Suspects that one worker runs at once: a long innocent one does not hold up the rest, and memory stays bounded."""
POLL_S = 1.0
PARENT_LOOK_S = 0.5
EXIT_ORPHANED = 71

log = get_logger(__name__)


class Isolation:
    """One worker's children. `stop` makes `run` return once they have drained; one is killed after `patience_s`."""

    def __init__(self, queue: RunQueue, ledger: Ledger, announcer: Announcer, *, patience_s: float) -> None:
        self._queue = queue
        self._ledger = ledger
        self._announcer = announcer
        self._patience_s = patience_s
        self._wake = asyncio.Event()
        self._stopping = False
        self._taken: set[str] = set()
        self._children: set[Process] = set()
        SUSPECTS.set_function(lambda: len(self._children))

    def wake(self, _: bytes = b"") -> None:
        """Look for suspects at once."""
        self._wake.set()

    def stop(self) -> None:
        """Take no more, and tell every child to drain."""
        self._stopping = True
        self._wake.set()
        for child in self._children:
            self._end(child)

    async def run(self) -> None:
        """Take suspects and run them until stopped. While Redis is away none are taken."""
        async with asyncio.TaskGroup() as group:
            while not self._stopping:
                self._wake.clear()
                for ticket in await self._take():
                    self._taken.add(ticket)
                    group.create_task(self._run_alone(ticket), name=f"suspect {ticket}")
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(POLL_S):
                        await self._wake.wait()

    async def _take(self) -> list[str]:
        room = AT_ONCE - len(self._taken)
        try:
            return await self._queue.take(room) if room > 0 else []
        except (RedisError, OSError, TimeoutError):  # The worker itself takes from Redis too, and says so.
            return []

    async def _run_alone(self, ticket: str) -> None:
        name = f"{self._ledger.actor}/{uuid4().hex[:6]}"
        try:
            if not await self._is_claimable(ticket):
                await self._queue.forget([ticket])
                return
            code = await self._run_child(ticket, name)
            if code != 0 and not self._stopping:
                log.warning("A suspect's process ended", ticket=ticket, code=code)
                await self._blame(ticket, name, code)
        except (OSError, UnreadableMessage, PyMongoError, RedisError, TimeoutError) as exc:
            # Then its lease ends, or its ticket counts as missing, and the reconciler sees to it.
            log.warning("A suspect was not seen to its end", ticket=ticket, error=str(exc))
        finally:
            self._taken.discard(ticket)
            self._wake.set()

    async def _is_claimable(self, ticket: str) -> bool:
        """Return whether the ticket still stands for its task: to claim it, a process of seconds would be started."""
        message = parse_ticket(ticket)
        wanted = {"_id": message.task_id, "epoch": message.epoch, "status": {"$in": sorted(CLAIMABLE)}}
        return await Task.get_pymongo_collection().find_one(wanted, {"_id": 1}) is not None

    async def _run_child(self, ticket: str, name: str) -> int:
        argv = (sys.executable, "-m", "jobs.worker", ticket, name, str(os.getpid()))
        child = await asyncio.create_subprocess_exec(*argv, stdin=DEVNULL, start_new_session=True)
        self._children.add(child)
        if self._stopping:
            self._end(child)
        try:
            return await child.wait()
        finally:
            self._children.discard(child)

    def _end(self, child: Process) -> None:
        def kill() -> None:
            if child in self._children:
                child.kill()

        with contextlib.suppress(ProcessLookupError):
            child.terminate()
        asyncio.get_running_loop().call_later(self._patience_s, kill)

    async def _blame(self, ticket: str, name: str, code: int) -> None:
        """End the task that was alone in a process that has died, if that process held it."""
        task = await Task.get(parse_ticket(ticket).task_id)
        if task is None or task.lease is None or task.lease.worker != name:
            return
        ended = f"ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
        verdict = judge(task, by=self._ledger.actor, lost=f"its own process {ended}", is_proven=True)
        event = await self._ledger.commit(verdict)
        if event is not None:
            LOSSES.labels("suspect").inc()
            self._announcer.tell(event)
        await self._queue.forget([ticket])


def watch_parent(parent: int, patience_s: float) -> None:
    """Drain when the parent is gone, and end after `patience_s` whatever the event loop does; returns at once."""
    gone = threading.Event()

    def watch() -> None:
        while os.getppid() == parent:
            gone.wait(PARENT_LOOK_S)
        os.kill(os.getpid(), signal.SIGTERM)
        gone.wait(patience_s)
        os._exit(EXIT_ORPHANED)

    threading.Thread(target=watch, name="parent", daemon=True).start()
