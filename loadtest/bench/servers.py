"""Contestants as running processes on the servers' core, and what they need on the load's."""

import os
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from loadtest.bench.contestants import Contestant
from loadtest.bench.machine import Cores, processor_s, resident_kb
from stack import services
from stack.probes import port_is_open
from stack.process import Child, Guard, Program, free_port


class Server:
    """A contestant that answers on its port."""

    def __init__(self, contestant: Contestant, child: Child, port: int) -> None:
        assert child.pid is not None
        self.contestant = contestant
        self.port = port
        self.pid = child.pid

    @property
    def name(self) -> str:
        """Its contestant's."""
        return self.contestant.name

    def processor_s(self) -> float:
        """Return what processor time it has taken so far."""
        return processor_s(self.pid)

    def resident_kb(self) -> int:
        """Return what memory it holds now."""
        return resident_kb(self.pid)


class Bench:
    """A folder, two cores and a guard, for whatever a measurement starts. Use it as a context. `logs` is kept."""

    def __init__(self, folder: Path, logs: Path) -> None:
        self.folder = folder
        self._logs = logs
        self.cores = Cores.chosen()
        self._stack = ExitStack()
        self._guard = Guard()
        self._services: list[Child] = []
        self._stores: dict[str, str] = {}
        self.database = ""
        """What takes MongoDB's place, as far as that is known; none was needed where it is empty."""

    def __enter__(self) -> "Bench":
        self._stack.callback(self._guard.close)
        self.cores.settle()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def service(self, program: Program) -> str:
        """Run a service on the load's core to the end of the bench; return its address. Raises ProcessFailed."""
        child = self._child(program)
        self._stack.callback(child.stop)
        child.start()
        child.await_ready()
        self._services.append(child)
        assert program.url is not None
        return program.url

    def stores(self) -> Mapping[str, str]:
        """Return the addresses of MongoDB and Redis; those not in the environment are started when first asked for.

        Raises ProcessFailed and ServerNotFound.
        """
        given = {name: os.environ[name] for name in ("MONGO_URL", "REDIS_URL") if name in os.environ}
        if "MONGO_URL" not in given | self._stores:
            database = services.mongodb(self.folder, free_port())
            self.database = Path(database.argv[0]).name
            self._stores["MONGO_URL"] = self.service(database)
        if "REDIS_URL" not in given | self._stores:
            self._stores["REDIS_URL"] = self.service(services.redis(self.folder, free_port()))
        return given | self._stores

    @contextmanager
    def servers(self, contestants: list[Contestant], env: Mapping[str, str]) -> Iterator[list[Server]]:
        """Run contestants while the block runs. Raises ProcessFailed."""
        with ExitStack() as stack:
            children = []
            for contestant in contestants:
                port = free_port()
                child = self._child(program(contestant, port, env))
                stack.callback(child.stop)
                with self.cores.for_servers():
                    child.start()
                children.append((contestant, child, port))
            for _, child, _ in children:
                child.await_ready()
            yield [Server(*running) for running in children]

    def load_s(self) -> float:
        """Return what processor time the load has taken so far: this process, and the services it started."""
        return time.process_time() + sum(processor_s(child.pid) for child in self._services if child.pid)

    def _child(self, started: Program) -> Child:
        log = self._logs / f"{started.role.replace(' ', '-')}-{secrets.token_hex(2)}.log"
        return Child(started, log, self._guard)


def program(contestant: Contestant, port: int, env: Mapping[str, str]) -> Program:
    """Return what is started for a contestant."""
    settings = {"HEADWAY_PORT": str(port), "NODE_ENV": "production"}
    return Program(
        contestant.name.replace(",", ""),
        tuple(word.format(port=port) for word in contestant.argv),
        ready=lambda: port_is_open(port),
        port=port,
        env={**env, **settings, **contestant.env},
        cwd=services.PROJECT,
        ready_within_s=contestant.ready_within_s,
    )
