"""A `headway up` as tests see it: started as a process of its own, spoken to from outside."""

import atexit
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import msgspec

from stack.process import Guard, free_port
from stack.state import StackState, read_state

PROJECT = Path(__file__).resolve().parents[1]
READY_WITHIN_S = 120.0
STOP_WITHIN_S = 20.0


def clean_environment(home: Path) -> dict[str, str]:
    """Return this process's environment without anything that would point a stack at what runs already."""
    addresses = ("MONGO_URL", "REDIS_URL", "AMQP_URL")
    kept = {name: value for name, value in os.environ.items() if name not in addresses}
    return {name: value for name, value in kept.items() if not name.startswith("HEADWAY_")} | {"HOME": str(home)}


@dataclass(frozen=True)
class RunningStack:
    """One `headway up` that answered `/readyz`."""

    process: "subprocess.Popen[bytes]"
    url: str
    data: Path
    output: Path

    @property
    def ws_url(self) -> str:
        """Where GraphQL over WebSocket is spoken."""
        return self.url.replace("http://", "ws://", 1) + "/graphql"

    def processes(self) -> StackState:
        """Return what stack.json says now: role → pid, port, url."""
        return read_state(self.data)

    def said(self) -> str:
        """Return what it has printed so far."""
        return self.output.read_text(encoding="utf-8", errors="replace")

    def stop(self, signum: int = signal.SIGINT) -> int:
        """Ask it to end and return its exit status. Raises subprocess.TimeoutExpired after 20 s."""
        if self.process.poll() is None:
            self.process.send_signal(signum)
        status = self.process.wait(STOP_WITHIN_S)
        _guard().forget(self.process.pid)
        return status


@cache
def _guard() -> Guard:
    """Ends the stacks that this process leaves behind, as it does when it is killed before it has stopped them."""
    guard = Guard()
    atexit.register(guard.close)
    return guard


def start_stack(
    data: Path, *options: str, env: Mapping[str, str] | None = None, port: int | None = None
) -> RunningStack:
    """Run `headway up` on a free port and wait until it is ready. Raises AssertionError with its output if it ends."""
    port = free_port()
    output = data.parent / f"{data.name}.out"
    stack = RunningStack(headway_up(data, port, options, output, env or {}), f"http://127.0.0.1:{port}", data, output)
    _guard().watch(stack.process.pid)
    try:
        await_ready(stack)
    except BaseException:
        stack.stop(signal.SIGKILL)  # Its own guard ends the rest.
        raise
    return stack


def headway_up(
    data: Path, port: int, options: Sequence[str], output: Path, env: Mapping[str, str]
) -> "subprocess.Popen[bytes]":
    """Start the process itself, without waiting."""
    home = data.parent / "home"
    home.mkdir(parents=True, exist_ok=True)
    with output.open("wb") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "cli", "up", "--port", str(port), "--data", str(data), "--no-demo", *options],
            cwd=PROJECT,
            env={**clean_environment(home), **env},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def await_ready(stack: RunningStack) -> None:
    """Wait until the stack answers. Raises AssertionError with its output if it ends before."""
    give_up = time.monotonic() + READY_WITHIN_S
    while not _is_ready(stack):
        assert stack.process.poll() is None, f"headway up ended with {stack.process.returncode}:\n{stack.said()}"
        assert time.monotonic() < give_up, f"headway up was not ready within {READY_WITHIN_S:g} s:\n{stack.said()}"
        time.sleep(0.1)


def _is_ready(stack: RunningStack) -> bool:
    try:
        return stack.processes().ready
    except (OSError, msgspec.MsgspecError):
        return False


def descendants(mark: str) -> list[int]:
    """Return every process, however far down, that was started with HEADWAY_TEST_MARK=`mark` in its environment."""
    wanted, found = f"HEADWAY_TEST_MARK={mark}".encode(), []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            environment = (entry / "environ").read_bytes()
        except OSError:  # It has ended meanwhile, or is a zombie.
            continue
        if wanted in environment.split(b"\0"):
            found.append(int(entry.name))
    return found
