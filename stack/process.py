"""One child process: what to start, how to see that it is ready, and how to end it with all it started."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stack import guard

PORTS = range(10_000, 32_768)
"""Below those of outgoing connections, which are 32768 to 60999 unless the machine says otherwise (ip(7))."""
PORTS_TRIED = 100
LOOK_EVERY_S = 0.1
KILL_WAIT_S = 5.0
LOG_TAIL_BYTES = 2_000


class ProcessFailed(Exception):
    """A child did not start, or ended before it was ready; the message is one line that names its log."""


@dataclass(frozen=True)
class Program:
    """What to start under a role such as "worker-1". `ready` makes one short attempt and says whether it answered."""

    role: str
    argv: tuple[str, ...]
    ready: Callable[[], bool]
    port: int | None = None
    url: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    ready_within_s: float = 60.0


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that was free a moment ago. Raises OSError if none is found.

    It is none that Linux gives to outgoing connections, one of which could have it before a program is started, or
    while it is started again.
    """
    for port in random.sample(PORTS, PORTS_TRIED):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError(f"expected a free port of 127.0.0.1 within {PORTS.start} to {PORTS.stop - 1}")


class Guard:
    """The process that ends all others should this one be killed. Close it last.

    `hold` is a file descriptor that it keeps open, so that a lock lasts until everything has ended.
    """

    def __init__(self, hold: int | None = None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", guard.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=() if hold is None else (hold,),
            cwd="/",
        )

    @property
    def pid(self) -> int:
        """The guard's own pid."""
        return self._process.pid

    def watch(self, group: int) -> None:
        """End this group should the supervisor go."""
        self._tell(f"+{group}\n")

    def forget(self, group: int) -> None:
        """Let this group be: it has ended."""
        self._tell(f"-{group}\n")

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # A killed guard can't help any more, and must not stop the stack.
            self._process.stdin.write(line.encode())
            self._process.stdin.flush()

    def close(self) -> None:
        """End the guard; whatever it still watches ends with it."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()


class Child:
    """A program's running process: the leader of a session of its own, its output in a log file."""

    def __init__(self, program: Program, log: Path, guard: Guard) -> None:
        self.program = program
        self.log = log
        self._guard = guard
        self._process: subprocess.Popen[bytes] | None = None
        self._buried = True

    @property
    def pid(self) -> int | None:
        """The pid of the latest start, None before the first."""
        return self._process.pid if self._process is not None else None

    @property
    def running(self) -> bool:
        """Whether it runs. A child found ended takes what it left behind in its session along."""
        if self._process is None or self._buried:
            return False
        if self._process.poll() is None:
            return True
        self._bury()
        return False

    @property
    def exit_status(self) -> int | None:
        """The status of the latest start that ended; negative is the number of a signal."""
        return self._process.returncode if self._process is not None else None

    def start(self) -> None:
        """Start it. Raises ProcessFailed if the program can't be executed."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        try:
            with self.log.open("ab") as output:
                self._process = subprocess.Popen(
                    self.program.argv,
                    env={**os.environ, **self.program.env},
                    cwd=self.program.cwd,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
        except OSError as exc:
            raise ProcessFailed(f"{self.program.role}: {self.program.argv[0]} can't be started: {exc}") from exc
        self._buried = False
        self._guard.watch(self._process.pid)

    def await_ready(self) -> None:
        """Block until it answers. Raises ProcessFailed if it ends first or takes too long."""
        deadline = time.monotonic() + self.program.ready_within_s
        while not self.program.ready():
            if not self.running:
                raise ProcessFailed(
                    f"{self.program.role} ended with status {self.exit_status} before it was ready{self._last_words()}"
                )
            if time.monotonic() > deadline:
                raise ProcessFailed(
                    f"{self.program.role} was not ready within {self.program.ready_within_s:g} s; see {self.log}"
                )
            time.sleep(LOOK_EVERY_S)

    def _last_words(self) -> str:
        with self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - LOG_TAIL_BYTES))
            lines = log.read().decode(errors="replace").strip().splitlines()
        return f": {lines[-1][:300]} (log: {self.log})" if lines else f"; see {self.log}"

    def ask_to_stop(self) -> None:
        """Send SIGTERM to the process, which ends its own children; a second time changes nothing."""
        if self._process is not None and not self._buried:
            self._process.send_signal(signal.SIGTERM)

    def stop(self, within_s: float = 5.0) -> bool:
        """Ask it to stop and await its end. Returns whether it went by itself."""
        self.ask_to_stop()
        return self.await_end(within_s)

    def await_end(self, within_s: float) -> bool:
        """Block until it ends; kill all its session after `within_s`. Returns whether it went by itself."""
        if self._process is None or self._buried:
            return True
        willing = True
        try:
            self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            willing = False
        self._bury()
        return willing

    def _bury(self) -> None:
        assert self._process is not None
        guard.signal_group(self._process.pid, signal.SIGKILL)
        self._process.wait(KILL_WAIT_S)
        self._guard.forget(self._process.pid)
        self._buried = True
