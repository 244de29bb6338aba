"""Runs a stack from its first service to its last child's end: starts it in order, keeps it up, stops it in order."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Collection

from core.clock import utc_now
from core.connections import open_amqp, open_mongo, open_redis
from stack import topology
from stack.crew import Crew
from stack.folder import locked
from stack.process import Guard
from stack.reload import name_kinds, reload_forever, snapshot
from stack.state import StackState, remove_state, write_state
from stack.topology import Foundation, StackOptions

HAND_BACK_S = 7.0
"""What a worker may need after its draining: code that does not yield has 5 s before its task is handed back."""
STOP_WITHIN_S = 9.5 + HAND_BACK_S
"""All children are gone after this, SIGKILL included; what a HEADWAY_DRAIN_S allows beyond the default is added.
Where all code yields, a few seconds do."""
STOP_STAGES = (
    (("nginx",), 0.5),
    (("gateway",), 2.0),
    (("bridge",), 1.5),
    (("worker",), HAND_BACK_S),
    (("rabbitmq", "redis", "mongodb"), 4.0),
    (("epmd",), 0.5),
)
"""The order of the stop and how long each stage may take; workers drain beyond that."""


class PortInUse(Exception):
    """The address for clients belongs to someone else."""


class Supervisor:
    """One stack. `say` takes short lines for whoever watches."""

    def __init__(self, options: StackOptions, say: Callable[[str], None]) -> None:
        self._options = options
        self._say = say
        self._foundation: Foundation | None = None
        self._ready = False
        self._started_at = utc_now()
        self._stop = asyncio.Event()

    @property
    def foundation(self) -> Foundation:
        """The services that the stack stands on, once they are known."""
        assert self._foundation is not None
        return self._foundation

    async def run(self, on_ready: Callable[[], Awaitable[None]]) -> None:
        """Start everything, call `on_ready`, and keep it up until SIGINT, SIGTERM or SIGHUP; a second one hurries.

        However it ends, no child is left. Raises FolderInUse, PortInUse, ServerNotFound, ProcessFailed or StartupError
        if the stack can't be had.
        """
        data = self._options.data
        with locked(data) as lock:
            require_free_port(self._options.host, self._options.port)
            guard = Guard(hold=lock)
            self._crew = Crew(data / "logs", guard, self._write_state, self._say)
            self._handle_signals()
            try:
                await self._serve_until_stopped(on_ready)
            finally:
                await self._shut_down()
                remove_state(data)
                guard.close()

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(signum, self._on_stop_signal)
        loop.add_signal_handler(signal.SIGCHLD, self._crew.note_death)

    def _on_stop_signal(self) -> None:
        if self._stop.is_set():
            self._crew.hurry()
        self._stop.set()

    async def _serve_until_stopped(self, on_ready: Callable[[], Awaitable[None]]) -> None:
        stopped = asyncio.create_task(self._stop.wait(), name="stop")
        serving = asyncio.create_task(self._serve(on_ready), name="serve")
        try:
            await asyncio.wait((stopped, serving), return_when=asyncio.FIRST_COMPLETED)
            if serving.done():
                await serving
        finally:
            for task in (stopped, serving):
                task.cancel()
            await asyncio.gather(stopped, serving, return_exceptions=True)

    async def _serve(self, on_ready: Callable[[], Awaitable[None]]) -> None:
        kinds_at_start = snapshot(self._options.kinds)
        await self._start()
        self._ready = True
        self._write_state()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._crew.keep_up(), name="keep-up")
                await on_ready()
                if self._options.reload:
                    reloading = reload_forever(self._options.kinds, kinds_at_start, self._crew, self._say)
                    tasks.create_task(reloading, name="reload")
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from failures

    async def _start(self) -> None:
        options = self._options
        name_kinds(options.kinds, os.environ)
        foundation = self._foundation = topology.lay_foundation(options, os.environ)
        await await_services(foundation, foundation.given)
        await self._crew.launch(foundation.chains)
        await await_services(foundation, foundation.ours)
        behind = topology.bridges(options, foundation) + topology.workers(options, foundation)
        gateways = topology.gateways(options, foundation)
        await self._crew.launch([(program,) for program in (*behind, *gateways)])
        await self._crew.launch([topology.edge(options, gateways)])

    async def _shut_down(self) -> None:
        drain_s = topology.worker_drain_s()
        give_up = time.monotonic() + STOP_WITHIN_S + max(0.0, drain_s - topology.WORKER_DRAIN_S)
        for roles, stage_s in STOP_STAGES:
            allowed_s = stage_s + (drain_s if "worker" in roles else 0.0)
            await self._crew.stop(roles, min(allowed_s, give_up - time.monotonic()))

    def _write_state(self) -> None:
        foundation = self.foundation
        state = StackState(
            pid=os.getpid(),
            url=self._options.url,
            ready=self._ready,
            broker=foundation.broker,
            started_at=self._started_at,
            services=dict(foundation.addresses),
            processes=self._crew.processes(),
        )
        write_state(self._options.data, state)


def require_free_port(host: str, port: int) -> None:
    """Raise PortInUse if nobody could listen there now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as exc:
            raise PortInUse(f"port {port} of {host} can't be had ({exc.strerror}); choose another with --port") from exc


async def await_services(foundation: Foundation, names: Collection[str]) -> None:
    """Wait until these services answer; MongoDB gets its indexes. Raises StartupError naming the one that does not."""
    settings = foundation.settings()
    if "mongodb" in names:
        mongo = await open_mongo(settings)
        await mongo.close()
    if "redis" in names:
        redis = await open_redis(settings)
        await redis.aclose()
    if "rabbitmq" in names:
        amqp = await open_amqp(settings)
        await amqp.close()
