"""`make load`: the scripts of loadtest/, one after the other, on a `headway up` of their own with nginx before it.

The stack has ports and data of its own, and is ended by its process id. What the scripts say is printed and written to
build/load.md, with what each process held in memory meanwhile. The exit status is 1 where a bound was broken.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.load.memory import table, watched
from tests.load.script import SCRIPTS, run_script
from tests.running_stack import PROJECT, RunningStack, start_stack

SUMMARY = PROJECT / "build" / "load.md"


def main() -> int:
    """Run the scripts that are named, by default all."""
    parser = argparse.ArgumentParser(prog="make load", description="Run load scripts against a stack of their own.")
    known = f"of {', '.join(SCRIPTS)}; all where none is named"
    parser.add_argument("scripts", nargs="*", choices=[*SCRIPTS, []], metavar="SCRIPT", help=known)
    parser.add_argument("--seconds", type=float, default=30.0, help="of load, for each script")
    parser.add_argument("--rate", type=float, help="turns a second; each script has its own")
    parser.add_argument("--gateways", type=int, default=3)
    parser.add_argument("--workers", type=int, default=1)
    asked = parser.parse_args()
    SUMMARY.parent.mkdir(exist_ok=True)
    SUMMARY.write_text(f"# Load\n\n{asked.gateways} gateways, {os.cpu_count()} cores.\n\n", encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="headway-load-") as folder:
        counts = ("--gateways", str(asked.gateways), "--workers", str(asked.workers))
        stack = start_stack(Path(folder) / "data", *counts, "--nginx")
        try:
            broken = [name for name in asked.scripts or SCRIPTS if not _passes(name, stack, asked)]
        finally:
            stack.stop()
    sys.stdout.write(f"The summary is in {SUMMARY.relative_to(PROJECT)}; broken: {', '.join(broken) or 'none'}\n")
    return 1 if broken else 0


def _passes(name: str, stack: RunningStack, asked: argparse.Namespace) -> bool:
    try:
        with watched(stack, asked.seconds) as looks:
            done = run_script(name, stack.url, seconds=asked.seconds, rate=asked.rate, summary=SUMMARY)
    except subprocess.TimeoutExpired:
        sys.stdout.write(f"{name} did not end\n")
        return False
    with SUMMARY.open("a", encoding="utf-8") as summary:
        summary.write(table(looks) + "\n")
    sys.stdout.write(done.stdout + table(looks) + done.stderr)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
