"""The machine under the measurements: which core does what, and what a process has used of it. Linux only."""

import contextlib
import os
import platform
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
MEMORY_UNIT = 2**30
CPUCLOCK_SCHED = 2


@dataclass(frozen=True)
class Cores:
    """The core of whichever server is measured, and that of everything else; None where there are no two."""

    server: int | None
    load: int | None

    @classmethod
    def chosen(cls) -> "Cores":
        """Return two of the cores that this process may use."""
        allowed = sorted(os.sched_getaffinity(0))
        return cls(allowed[0], allowed[1]) if len(allowed) > 1 else cls(None, None)

    def settle(self) -> None:
        """Keep this process, and what it starts from now on, to the load's core."""
        if self.load is not None:
            os.sched_setaffinity(0, {self.load})

    @contextlib.contextmanager
    def shared(self) -> Iterator[None]:
        """Let this process, and what is started meanwhile, run on both cores."""
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, before | {core for core in (self.server, self.load) if core is not None})
        try:
            yield
        finally:
            os.sched_setaffinity(0, before)

    @contextlib.contextmanager
    def for_servers(self) -> Iterator[None]:
        """Let what is started meanwhile run on the servers' core, with all its threads."""
        before = os.sched_getaffinity(0)
        if self.server is not None:
            os.sched_setaffinity(0, {self.server})
        try:
            yield
        finally:
            os.sched_setaffinity(0, before)


def make_room() -> None:
    """Let this process and its children open as many files as the system allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def processor_s(pid: int) -> float:
    """Return the seconds of processor time that all threads of a process have taken."""
    return time.clock_gettime(~pid << 3 | CPUCLOCK_SCHED)  # What clock_getcpuclockid(3) makes of a pid.


def resident_kb(pid: int) -> int:
    """Return the resident memory of a process, in KB."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    return int(status.partition("VmRSS:")[2].split()[0])


def busy_s() -> float:
    """Return the seconds that all cores together have worked since the start of the machine."""
    _, *spent = Path("/proc/stat").read_text(encoding="ascii").partition("\n")[0].split()
    user, nice, system, _idle, _waiting, *interrupts = (int(one) for one in spent[:8])
    return (user + nice + system + sum(interrupts)) / TICKS


def described() -> str:
    """Return what the figures hang on, for people."""
    cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    model = cpuinfo.partition("model name")[2].partition(":")[2].partition("\n")[0].strip() or platform.machine()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / MEMORY_UNIT
    return f"{os.cpu_count()} cores ({model}), {memory:.0f} GB, Linux {platform.release().partition('-')[0]}"
