"""The data folder of a stack: one `headway up` at a time works in it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from stack.state import read_state


class FolderInUse(Exception):
    """Another stack works in this folder."""


@contextmanager
def locked(data: Path) -> Iterator[int]:
    """Create the folder, hold its lock and yield the lock's file descriptor. Raises FolderInUse or OSError.

    Whoever else holds the descriptor open keeps the lock: it is gone when the last of them is.
    """
    data.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(data / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield descriptor
    except BlockingIOError as exc:
        raise FolderInUse(
            f"{_owner(data)} works in {data}; stop it first, or choose another folder with --data"
        ) from exc
    finally:
        os.close(descriptor)


def _owner(data: Path) -> str:
    try:
        state = read_state(data)
    except (OSError, msgspec.MsgspecError):
        return "another `headway up`"
    return f"another `headway up` (pid {state.pid}, {state.url})"
