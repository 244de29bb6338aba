"""What the processes of a stack hold while it is under load."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.running_stack import RunningStack

QUARTERS = 4


def resident_mb(pid: int) -> float:
    """Return what a process and all below it hold in memory, in MB; what they share is counted for each."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()
    except FileNotFoundError:  # It has ended meanwhile.
        return 0.0
    own = re.search(r"VmRSS:\s+(\d+) kB", status)
    return int(own[1]) * 1024 / 1e6 + sum(resident_mb(int(child)) for child in children) if own else 0.0


def held(stack: RunningStack) -> dict[str, float]:
    """Return what each process of a stack holds by its role, in MB."""
    return {role: resident_mb(process.pid) for role, process in stack.processes().processes.items()}


@contextmanager
def watched(stack: RunningStack, seconds: float) -> Iterator[list[dict[str, float]]]:
    """Look at a stack's memory before the block, each quarter of `seconds` in it, and after it."""
    looks = [held(stack)]
    ended = threading.Event()

    def look() -> None:
        while len(looks) < QUARTERS and not ended.wait(seconds / QUARTERS):
            looks.append(held(stack))

    thread = threading.Thread(target=look, name="memory")
    thread.start()
    try:
        yield looks
    finally:
        ended.set()
        thread.join()
        looks.append(held(stack))


def table(looks: list[dict[str, float]]) -> str:
    """Return the looks as a table in Markdown."""
    head = ["MB resident", "before", *(f"{number}/{QUARTERS}" for number in range(1, len(looks) - 1)), "after"]
    rows = [[role, *(f"{look.get(role, 0.0):.0f}" for look in looks)] for role in looks[0]]
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, ["---"] * len(head), *rows))
