"""Runs CPU-bound kinds in processes of their own, which can be killed, and brings back what they say meanwhile."""

import asyncio
import ctypes
import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, MutableMapping
from concurrent.futures.process import BrokenProcessPool
from typing import Any
from uuid import UUID

import msgspec
import structlog
from pebble import ProcessExpired, ProcessPool

from core.settings import Settings
from core.telemetry import configure_logging, get_logger
from core.tracing import add_trace
from jobs.attempt import LOG_CHARS, Attempt, checked_progress, storable
from jobs.kinds import Kind, load_kinds
from jobs.outcome import Died, Outcome, Stopped, raised, returned
from jobs.pace import Pace

PR_SET_PDEATHSIG = 1
DATAGRAM_BYTES = 65_536


class Said(msgspec.Struct, array_like=True):
    """One datagram from a child: a line, or the latest progress where `line` is None."""

    task_id: UUID
    epoch: int
    current: int
    total: int | None
    text: str | None
    is_line: bool


log = get_logger(__name__)
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Said)
_child_socket: socket.socket | None = None
_child_kinds: dict[str, Kind] = {}


class ChildContext:
    """The TaskContext of a plain-function kind, in the child. A thread sends the latest progress at its `Pace`."""

    def __init__(self, channel: socket.socket, task_id: UUID, epoch: int, attempt: int, state: Any) -> None:
        self._channel = channel
        self._task_id = task_id
        self._epoch = epoch
        self._attempt = attempt
        self._state = state
        self._latest: tuple[int, int | None, str | None] | None = None
        self._news = threading.Event()
        self._ended = threading.Event()
        self._sender = threading.Thread(target=self._send_forever, name="progress", daemon=True)
        self._sender.start()

    @property
    def task_id(self) -> UUID:
        """The task's id."""
        return self._task_id

    @property
    def attempt(self) -> int:
        """1 for the first attempt."""
        return self._attempt

    @property
    def state(self) -> Any:
        """What an earlier attempt kept."""
        return self._state

    def progress(self, current: int, total: int | None = None, message: str | None = None) -> None:
        """Tell how far the work is."""
        self._latest = checked_progress(current, total, message)
        self._news.set()

    def log(self, text: str) -> None:
        """Tell followers a sentence."""
        self._send(Said(self._task_id, self._epoch, 0, None, storable(text, LOG_CHARS), is_line=True))

    def close(self) -> None:
        """Send the last progress and end the thread."""
        self._ended.set()
        self._news.set()
        self._sender.join()

    def _send_forever(self) -> None:
        pace = Pace()
        while not self._ended.is_set():
            self._news.wait()
            self._ended.wait(pace.wait_s(time.monotonic()))
            self._news.clear()
            self._send_latest()
            pace.spend(time.monotonic())
        self._send_latest()

    def _send_latest(self) -> None:
        latest, self._latest = self._latest, None
        if latest is not None:
            current, total, message = latest
            self._send(Said(self._task_id, self._epoch, current, total, message, is_line=False))

    def _send(self, said: Said) -> None:
        self._channel.send(_encoder.encode(said))


def _start_child(channel: socket.socket, modules: list[str]) -> None:
    global _child_socket, _child_kinds  # noqa: PLW0603  # Set once a process, by the pool's initializer.
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal reaches the whole group; the worker decides.
    # Dies with the process that started it, also when that one is killed.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    _child_socket = channel
    _child_kinds = load_kinds(modules)
    configure_logging(Settings(), "worker")


def _run_in_child(
    name: str,
    task_id: UUID,
    epoch: int,
    attempt: int,
    state: Any,
    values: dict[str, Any],
    logged: MutableMapping[str, Any],
) -> Outcome:
    """Run an attempt; `logged` is in each line that its code logs."""
    kind = _child_kinds[name]
    assert _child_socket is not None
    context = ChildContext(_child_socket, task_id, epoch, attempt, state)
    with structlog.contextvars.bound_contextvars(**logged):
        try:
            return returned(kind.function(context, kind.input_model.model_validate(values)), kind.result_model)
        except Exception as exc:  # noqa: BLE001  # Whatever a kind raises is the outcome of its attempt.
            return raised(exc)
        finally:
            context.close()


async def _stop(pool: ProcessPool) -> None:
    pool.stop()  # type: ignore[no-untyped-call]
    await asyncio.to_thread(pool.join, 5)


class Processes:
    """A pool of child processes, and the one socket on which they speak. Use it as an async context manager.

    `modules` are those outside this package that declare kinds.
    """

    def __init__(self, size: int, modules: list[str]) -> None:
        self._size = size
        self._modules = modules
        self._parent, self._child = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._parent.setblocking(False)
        self._pool = self._new_pool()
        self._broken: set[asyncio.Task[None]] = set()
        self._attempts: dict[tuple[UUID, int], Attempt] = {}

    def _new_pool(self) -> ProcessPool:
        context = multiprocessing.get_context("forkserver")
        initargs = (self._child, self._modules)
        return ProcessPool(max_workers=self._size, context=context, initializer=_start_child, initargs=initargs)

    async def __aenter__(self) -> "Processes":
        asyncio.get_running_loop().add_reader(self._parent, self._hear)
        return self

    async def __aexit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._parent)
        await asyncio.gather(_stop(self._pool), *self._broken)
        self._parent.close()
        self._child.close()

    async def warm_up(self) -> None:
        """Start a child, so that the first task does not wait for its imports."""
        await asyncio.wrap_future(self._pool.schedule(os.getpid))

    def start(self, attempt: Attempt, kind: Kind) -> tuple["asyncio.Future[Outcome]", Callable[[], object]]:
        """Start the attempt; return its outcome to come and the function that kills it."""
        task = attempt.task
        key = (task.id, attempt.epoch)
        logged = add_trace(None, "", structlog.contextvars.get_contextvars())
        args = (kind.name, task.id, attempt.epoch, task.attempt, task.checkpoint, task.input, logged)
        if not self._pool.active:
            self._replace_pool()
        future = self._pool.schedule(_run_in_child, args=args)
        self._attempts[key] = attempt

        async def outcome() -> Outcome:
            wrapped = asyncio.wrap_future(future)
            try:
                await asyncio.wait({wrapped})
            finally:
                self._hear()
                del self._attempts[key]
            if wrapped.cancelled():
                return Stopped(is_forced=False)
            died = wrapped.exception()
            if isinstance(died, ProcessExpired):
                return Died(f"its process ended with exit code {died.exitcode}")
            if isinstance(died, BrokenProcessPool):
                return Died("its process was lost with others")
            return wrapped.result()

        return asyncio.create_task(outcome(), name=f"process of {task.id}"), future.cancel

    def _replace_pool(self) -> None:
        """Go on with another pool: one whose process dies without a task is broken for good (pebble 5.2)."""
        log.warning("The pool of processes broke; here is another")
        stopping = asyncio.create_task(_stop(self._pool), name="stop of a broken pool")
        self._broken.add(stopping)
        stopping.add_done_callback(self._broken.discard)
        self._pool = self._new_pool()

    def _hear(self) -> None:
        while True:
            try:
                said = _decoder.decode(self._parent.recv(DATAGRAM_BYTES))
            except BlockingIOError:
                return
            attempt = self._attempts.get((said.task_id, said.epoch))
            if attempt is None:
                continue
            if said.is_line:
                attempt.say_log(said.text or "")
            else:
                attempt.say_progress(said.current, said.total, said.text)
