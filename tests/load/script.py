"""One load script as a process: which there are, and with what it is told where and how long."""

import os
import subprocess
import sys
from pathlib import Path

from tests.running_stack import PROJECT

SCRIPTS = ("items", "submit", "subscribe", "mixed", "soak")
LONGEST_TURN_S = 60.0


def run_script(
    name: str, url: str, *, seconds: float, rate: float | None = None, summary: Path | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run it to its end; its status is 0 where every bound held. Raises subprocess.TimeoutExpired."""
    told = {"HEADWAY_URL": url, "HEADWAY_LOAD_S": f"{seconds:g}"}
    if rate is not None:
        told["HEADWAY_LOAD_RATE"] = f"{rate:g}"
    if summary is not None:
        told["HEADWAY_LOAD_SUMMARY"] = str(summary)
    return subprocess.run(
        [str(Path(sys.executable).parent / "node"), str(PROJECT / "loadtest" / f"{name}.js")],
        env={**os.environ, **told},
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds + LONGEST_TURN_S + 30.0,
    )
