"""stack.json: what a stack runs right now, for whoever wants to look at it from outside."""

import os
from datetime import datetime
from pathlib import Path

import msgspec

STATE_FILE = "stack.json"


class RunningProcess(msgspec.Struct, frozen=True, omit_defaults=True):
    """One process of the stack. `restarts` counts how often it was started again after it had died."""

    pid: int
    port: int | None = None
    url: str | None = None
    restarts: int = 0


class StackState(msgspec.Struct, frozen=True):
    """The whole of stack.json. `url` is the one address for clients; `services` names also what we did not start."""

    pid: int
    url: str
    ready: bool
    broker: str
    started_at: datetime
    services: dict[str, str]
    processes: dict[str, RunningProcess]
    version: int = 1


def write_state(data: Path, state: StackState) -> None:
    """Replace the file in one step, so that a reader sees the old or the new one whole."""
    fresh = data / f".{STATE_FILE}.new"
    fresh.write_bytes(msgspec.json.format(msgspec.json.encode(state), indent=2) + b"\n")
    os.replace(fresh, data / STATE_FILE)


def read_state(data: Path) -> StackState:
    """Return the state of the stack that keeps its data there. Raises FileNotFoundError if there is none."""
    return msgspec.json.decode((data / STATE_FILE).read_bytes(), type=StackState)


def remove_state(data: Path) -> None:
    """Forget the stack: it runs no more."""
    (data / STATE_FILE).unlink(missing_ok=True)
