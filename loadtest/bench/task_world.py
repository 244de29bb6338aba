"""What the task path's contestants stand on: the same servers for all, and the processor time of what runs."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from loadtest.bench.figures import Turn
from loadtest.bench.machine import TICKS
from loadtest.bench.parts import Others
from stack import services
from stack.process import Child, Guard, Program, free_port


def run_program(closing: ExitStack, program: Program, folder: Path, guard: Guard) -> int:
    """Start a program, wait until it answers and have it stopped when `closing` is; return its pid."""
    child = Child(program, folder / "logs" / f"{program.role}.log", guard)
    closing.callback(child.stop, 10.0)
    child.start()
    child.await_ready()
    assert child.pid is not None
    return child.pid


def tree(roots: frozenset[int]) -> set[int]:
    """Return these processes and all below them."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and (stat := _stat(int(entry.name))):
            parents[int(entry.name)] = int(stat[1])
    found = set(roots)
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def processor_s(roots: frozenset[int]) -> float:
    """Return the seconds of processor time that these processes, all below them and their ended children took."""
    stats = (_stat(pid) for pid in tree(roots))
    return sum(sum(map(int, stat[11:15])) for stat in stats if stat) / TICKS


def memory_kb(roots: frozenset[int]) -> int:
    """Return the memory of these processes and all below them, in KB; what several share is counted once."""
    return sum(map(_proportional_kb, tree(roots)))


def _proportional_kb(pid: int) -> int:
    try:
        told = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except OSError:  # It has ended meanwhile.
        return 0
    return int(told.partition("Pss:")[2].split()[0])


def _stat(pid: int) -> list[str] | None:
    """Return what proc(5) tells after the name in parentheses: the state, the parent, and so on."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return None


@dataclass(frozen=True)
class Servers:
    """The services: their addresses as every process reads them, and their pids."""

    folder: Path
    guard: Guard
    environment: Mapping[str, str]
    pids: frozenset[int]
    database: str

    @property
    def mongo_url(self) -> str:
        """MongoDB's address."""
        return self.environment["MONGO_URL"]

    @property
    def redis_url(self) -> str:
        """Redis' address."""
        return self.environment["REDIS_URL"]


@contextmanager
def running_servers(folder: Path) -> Iterator[Servers]:
    """Run MongoDB, Redis and RabbitMQ in a folder of their own; at the end none is left."""
    with ExitStack() as closing:
        guard = Guard()
        closing.callback(guard.close)
        mapper, rabbitmq = services.rabbitmq(folder, free_port())
        stores = (services.mongodb(folder, free_port()), services.redis(folder, free_port()), rabbitmq)
        pids = [run_program(closing, program, folder, guard) for program in (mapper, *stores)]
        names = ("MONGO_URL", "REDIS_URL", "AMQP_URL")
        environment = {name: store.url for name, store in zip(names, stores, strict=True) if store.url}
        yield Servers(folder, guard, environment, frozenset(pids), Path(stores[0].argv[0]).name)


class Meter:
    """Reads the processor time of a contestant and of the servers from now on."""

    def __init__(self, servers: Servers, own: frozenset[int]) -> None:
        self._pids = (own, servers.pids)
        self._others, self._load_s = Others(), _load_s()
        self._before = self._read()
        self.began = time.time()

    def _read(self) -> tuple[float, float]:
        own, servers = self._pids
        return processor_s(own), processor_s(servers)

    def stop(self, operations: int, ended: float) -> Turn:
        """Return what was spent until now; the work had ended at that time (seconds since the epoch)."""
        own, servers = (after - before for before, after in zip(self._before, self._read(), strict=True))
        others = self._others.share(own + servers + _load_s() - self._load_s)
        return Turn(operations, ended - self.began, own, servers, others)


def _load_s() -> float:
    """Return what processor time this process and its ended children have taken."""
    return sum(os.times()[:4])
