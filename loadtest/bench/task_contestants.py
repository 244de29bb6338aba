"""The contestants of the task path: each is started on the shared servers for its turn, given tasks, and ended."""

import itertools
import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import orjson
from pymongo import MongoClient
from redis import Redis

from loadtest.bench import task_peers
from loadtest.bench.asking import Clients, http_request, next_answer, port_of
from loadtest.bench.figures import Turn
from loadtest.bench.task_world import Meter, Servers, memory_kb, run_program
from stack.probes import http_ok
from stack.process import Program, free_port
from tests.running_stack import RunningStack, start_stack

AT_ONCE = 64
"""Submits under way at any time."""
QUIET_S = 0.15
"""After a task that is measured alone; a submit stores and tells until 0.1 s after its answer. The same for all."""
LOOK_EVERY_S = 0.1
WITHIN_S = 120.0
OPEN = ["PENDING", "QUEUED", "RUNNING"]
SLOTS = 100
SETTINGS = {
    "HEADWAY_KIND_MODULES": "loadtest.bench.task_kinds",
    "HEADWAY_WORKER_PROCESSES": "1",
    "HEADWAY_BRIDGE_WINDOW": "400",
    "HEADWAY_MONGO_POOL_MIN": "1",
    "HEADWAY_REQUEST_LOG": "false",
}
"""No contestant logs its requests. The kind waits for nothing, so its slots are many (docs/tuning.md); the window is a
few times as much."""
SUBMIT = "mutation($input: MeasuredInput!) { measured(input: $input) { id status } }"
_turns = itertools.count(1)


class Contestant(Protocol):
    """One that runs and can be given tasks. Each method returns once all its tasks have ended."""

    def together(self, count: int, steps: int = 0, lines: int = 0) -> Turn:
        """Submit tasks, many at once, which tell so much; return what they took from the first submit to the last end.

        A `line` is told for certain; of steps that follow at once the latest may stand for all.
        """
        ...

    def alone(self, count: int) -> list[float]:
        """Submit one after the other, each to a system that is idle again; return how long each took to start, in
        seconds.
        """
        ...

    def memory_kb(self) -> int:
        """Return what memory its processes hold now."""
        ...


Start = Callable[[Servers], AbstractContextManager[Contestant]]


class Stored:
    """One whose tasks are submitted over HTTP and whose states are in MongoDB: Headway, and the seed.

    `newest` is the field that tasks are found by as they came, with an index where many are stored.
    """

    def __init__(
        self,
        servers: Servers,
        database: str,
        url: str,
        pids: frozenset[int],
        ask: Callable[[int, int], bytes],
        newest: str,
    ) -> None:
        self._servers = servers
        self._mongo: MongoClient[Any] = MongoClient(servers.mongo_url, tz_aware=True, uuidRepresentation="standard")
        self.tasks = self._mongo[database]["tasks"]
        self._port = port_of(url)
        self.pids = pids
        self._ask = ask
        self._newest = newest

    def close(self) -> None:
        """Close the connection by which its tasks are looked at."""
        self._mongo.close()

    def together(self, count: int, steps: int = 0, lines: int = 0) -> Turn:
        """Submit over HTTP; the end is the latest that is stored."""
        request = self._ask(steps, lines)
        meter = Meter(self._servers, self.pids)
        with Clients(self._port, (request,), AT_ONCE) as clients:
            clients.ask(count=count)
        self.await_ends()
        turn = meter.stop(count, time.time())
        ended = [task["finished_at"] for task in self.newest(count) if task["status"] == "SUCCEEDED"]
        assert len(ended) == count, f"{len(ended)} of {count} tasks have succeeded"
        assert min(ended).timestamp() >= meter.began
        return replace(turn, seconds=max(ended).timestamp() - meter.began)

    def alone(self, count: int) -> list[float]:
        """Submit over HTTP on one connection, each once the one before has ended; when it started is in its result."""
        request, began = self._ask(0, 0), []
        with socket.create_connection(("127.0.0.1", self._port)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for _ in range(count):
                began.append(time.time())
                next_answer(connection, request)
                time.sleep(QUIET_S)
                self.await_ends()
        started = sorted(task["result"]["started"] for task in self.newest(count))
        return [start - begin for begin, start in zip(began, started, strict=True)]

    def memory_kb(self) -> int:
        """Return what memory its processes hold now."""
        return memory_kb(self.pids)

    def newest(self, count: int) -> list[dict[str, Any]]:
        """Return what is to be known of the latest tasks."""
        fields = {"status": 1, "finished_at": 1, "result": 1}
        return self.tasks.find({}, fields).sort(self._newest, -1).limit(count).to_list()

    def ended(self) -> int:
        """Return how many tasks have succeeded."""
        return int(self.tasks.count_documents({"status": "SUCCEEDED"}))

    def open(self) -> int:
        """Return how many tasks wait or run."""
        return int(self.tasks.count_documents({"status": {"$in": OPEN}}))

    def await_ends(self) -> None:
        """Wait until no task waits or runs."""
        give_up = time.monotonic() + WITHIN_S
        while self.tasks.find_one({"status": {"$in": OPEN}}, {"_id": 1}) is not None:
            assert time.monotonic() < give_up, f"tasks have not ended within {WITHIN_S:g} s"
            time.sleep(LOOK_EVERY_S)


def _graphql(steps: int, lines: int) -> bytes:
    asked = {"query": SUBMIT, "variables": {"input": {"steps": steps, "lines": lines}}}
    return http_request("POST", "/graphql", orjson.dumps(asked))


def _rest(steps: int, lines: int) -> bytes:
    return http_request("POST", "/tasks", orjson.dumps({"steps": steps + lines}))


class Headway(Stored):
    """A stack of ours. `name` is its database's and its namespace."""

    def __init__(self, servers: Servers, name: str, stack: RunningStack) -> None:
        super().__init__(servers, name, stack.url, frozenset({stack.process.pid}), _graphql, "_id")
        self.name = name
        self.stack = stack


@contextmanager
def headway(servers: Servers, slots: int = SLOTS) -> Iterator[Headway]:
    """Headway: one gateway, one bridge, one worker."""
    name = f"headway{next(_turns)}"
    own = {"HEADWAY_MONGO_DATABASE": name, "HEADWAY_NAMESPACE": name, "HEADWAY_WORKER_SLOTS": str(slots)}
    counts = ("--gateways", "1", "--bridges", "1", "--workers", "1", "--no-nginx")
    stack = start_stack(servers.folder / name, *counts, env={**servers.environment, **SETTINGS, **own})
    try:
        with closing(Headway(servers, name, stack)) as started:
            yield started
    finally:
        stack.stop()


@contextmanager
def seed(servers: Servers) -> Iterator[Stored]:
    """FastAPI and Celery, prefork 4."""
    programs, name, port = task_peers.install("seed"), f"seed{next(_turns)}", free_port()
    url = f"http://127.0.0.1:{port}"
    with ExitStack() as ending:
        options = ("--pool", "prefork", "--concurrency", "4", "--loglevel", "WARNING")
        argv = ("celery", "-A", "app:celery", "worker", *options)
        api = ("uvicorn", "app:api", "--port", str(port), "--no-access-log")
        own = {"BENCH_NAME": name, **servers.environment}
        started = partial(_says, servers.folder / "logs" / f"{name}.log", "ready.")
        pids = [
            _run(ending, servers, name, programs, "seed", argv, own, started),
            _run(ending, servers, f"{name}-api", programs, "seed", api, own, lambda: http_ok(port, "/ready")),
        ]
        yield ending.enter_context(closing(Stored(servers, name, url, frozenset(pids), _rest, "created_at")))


class Queue:
    """One that has no API: its own client submits, and it stores no states."""

    def __init__(self, servers: Servers, pid: int, submit: Callable[..., Any]) -> None:
        self._servers = servers
        self._pids = frozenset({pid})
        self._submit = submit

    def together(self, count: int, steps: int = 0, lines: int = 0) -> Turn:
        """Have its client submit; the client's own processor time is not counted."""
        meter = Meter(self._servers, self._pids)
        meter.began, ended = self._submit(count, steps + lines)
        return meter.stop(count, ended)

    def memory_kb(self) -> int:
        """Return what memory its worker's processes hold now."""
        return memory_kb(self._pids)

    def alone(self, count: int) -> list[float]:
        """Have its client submit."""
        took: list[float] = self._submit(count)
        return took


@contextmanager
def queue(name: str, worker: Sequence[str], servers: Servers) -> Iterator[Queue]:
    """One of the queues on Redis. `worker` is the program of its worker with the arguments."""
    programs, own_name = task_peers.install(name), f"{name}{next(_turns)}"
    folder = programs if name in task_peers.NODE_PEERS else task_peers.SOURCES / name
    own = {"BENCH_NAME": own_name, **servers.environment, "PYTHONPATH": f"{task_peers.SOURCES}:{folder}"}
    client = ("node", "app.mjs") if name in task_peers.NODE_PEERS else (str(programs / "python"), "app.py")

    def submit(*numbers: int) -> Any:
        argv = (*client, *map(str, numbers))
        return json.loads(subprocess.check_output(argv, env={**os.environ, **own}, cwd=folder, timeout=WITHIN_S))

    with ExitStack() as ending, Redis.from_url(servers.redis_url) as redis:
        known = {client["id"] for client in redis.client_list()}

        def is_connected() -> bool:
            return bool({client["id"] for client in redis.client_list()} - known)

        pid = _run(ending, servers, own_name, programs, name, worker, own, is_connected)
        yield Queue(servers, pid, submit)


def _says(log: Path, words: str) -> bool:
    return words in log.read_text(encoding="utf-8", errors="replace")


def _run(
    ending: ExitStack,
    servers: Servers,
    role: str,
    programs: Path,
    peer: str,
    argv: Sequence[str],
    own: Mapping[str, str],
    ready: Callable[[], bool],
) -> int:
    at_peer = programs if peer in task_peers.NODE_PEERS else task_peers.SOURCES / peer
    own_program = programs / argv[0]
    words = (str(own_program) if own_program.exists() else argv[0], *argv[1:])
    program = Program(role, words, ready=ready, env=own, cwd=at_peer)
    return run_program(ending, program, servers.folder, servers.guard)


@dataclass(frozen=True)
class Entry:
    """A contestant's name, how it is started, and how many tasks a turn keep it busy for some seconds."""

    name: str
    start: Start
    count: int
    alone: int = 100
    """Tasks that are submitted one after the other."""
    stores: bool = False
    """Whether a task's states are stored."""


OURS = "Headway"
ENTRIES = (
    Entry(OURS, headway, 1_600, stores=True),
    Entry("FastAPI + Celery", seed, 1_000, stores=True),
    Entry("arq", partial(queue, "arq", ("arq", "app.WorkerSettings")), 300, alone=8),
    Entry("taskiq", partial(queue, "taskiq", ("taskiq", "worker", "--workers", "1", "app:broker")), 2_000),
    Entry("dramatiq", partial(queue, "dramatiq", ("dramatiq", "--processes", "1", "--threads", "8", "app")), 1_600),
    Entry("BullMQ", partial(queue, "bullmq", ("node", "worker.mjs")), 3_000),
)
