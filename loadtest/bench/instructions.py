"""How many instructions a request of the read path takes, counted by valgrind: other work can't disturb that.

Each contestant runs twice, with few requests and with more; the difference is what the requests took. Takes minutes.
Run: python -m loadtest.bench.instructions [contestant ...]
"""

import os
import re
import subprocess
import sys

from loadtest.bench.reading import OURS, contestants

FEW, MANY = 60, 160
VALGRIND = ("valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null")
REFERENCES = re.compile(r"I\s+refs:\s+([\d,]+)")
PROGRAM = "import sys; from loadtest.bench.reading import ask_only; ask_only(sys.argv[1], int(sys.argv[2]))"


def count(name: str, requests: int) -> int:
    """Return the instructions of a process that makes so many requests of a contestant."""
    command = [*VALGRIND, sys.executable, "-c", PROGRAM, name, str(requests)]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    ended = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True, check=True)
    found = REFERENCES.search(ended.stderr)
    if found is None:
        raise RuntimeError(f"expected a count from valgrind, got {ended.stderr[-500:]!r}")
    return int(found[1].replace(",", ""))


def main() -> None:
    """Write a Markdown table."""
    names = sys.argv[1:] or [*contestants()]
    taken = {name: (count(name, MANY) - count(name, FEW)) / (MANY - FEW) / 1000 for name in names}
    lines = ["| contestant | thousand instructions a request | its instructions to ours |", "|---|---|---|"]
    for name, thousands in taken.items():
        lines.append(f"| {name} | {thousands:,.0f} | {thousands / taken[OURS]:.2f} |")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
