"""Ends a supervisor's process groups when the supervisor is gone, however it went.

It runs as a process of its own and imports nothing but the standard library. On its standard input the supervisor tells
it `+<group>` for every group it starts and `-<group>` for every one that ended; the end of the input means that the
supervisor no longer lives, because only it holds the other end of the pipe.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterable

GRACE_S = 8.0
LOOK_EVERY_S = 0.1


def remaining_groups(lines: Iterable[str]) -> list[int]:
    """Return the groups that were told of and not taken back, in the order of their start."""
    groups: dict[int, None] = {}
    for line in lines:
        sign, group = line[:1], int(line[1:])
        if sign == "+":
            groups[group] = None
        else:
            groups.pop(group, None)
    return list(groups)


def signal_group(group: int, signum: int) -> bool:
    """Send a signal to a process group (0 only looks). Returns whether the group has members."""
    try:
        os.killpg(group, signum)
    except ProcessLookupError:
        return False
    except PermissionError:  # Members exist, but run as someone else.
        return True
    return True


def end_groups(groups: list[int], grace_s: float) -> None:
    """Ask every group to end, wait, and kill what is left after `grace_s`."""
    left = [group for group in reversed(groups) if signal_group(group, signal.SIGTERM)]
    give_up = time.monotonic() + grace_s
    while left and time.monotonic() < give_up:
        time.sleep(LOOK_EVERY_S)
        left = [group for group in left if signal_group(group, 0)]
    for group in left:
        signal_group(group, signal.SIGKILL)


def main() -> None:
    """Read groups until the supervisor's end of the pipe closes, then end those that remain."""
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)
    groups = remaining_groups(sys.stdin)
    with contextlib.suppress(OSError):
        os.close(0)
    end_groups(groups, GRACE_S)


if __name__ == "__main__":
    main()
