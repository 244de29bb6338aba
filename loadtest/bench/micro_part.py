"""The parts that requests and events are made of, each by itself: runs the micro-benchmarks in tests/benchmarks."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson

from loadtest.bench.figures import Spread
from loadtest.bench.parts import Plan
from loadtest.bench.report import rows_of, spread
from loadtest.bench.results import Found
from stack.services import PROJECT

REPEATS = 3
SECONDS = 0.1
"""Of each benchmark, beside its calibration."""
FIRST_SIGHT = ("guard: parse, measure, validate and price a new document", "graphql-core: parse and validate the same")
OPTIONS = ("--benchmark-enable", "--benchmark-only", "--benchmark-timer=time.process_time", "-p", "no:cacheprovider")


class BenchmarksFailed(Exception):
    """pytest failed; the message is the end of what it said."""


def micro(folder: Path, plan: Plan) -> Found:
    """Return what each part takes. Raises BenchmarksFailed."""
    seconds = 0.005 if plan.is_quick else SECONDS
    repeats = [run(folder / "micro.json", seconds) for _ in range(min(REPEATS, plan.repeats))]
    rows = [(part, spread(Spread.of([taken[part] for taken in repeats]), 1)) for part in repeats[0]]
    own, theirs = FIRST_SIGHT
    first_sight = Spread.of([taken[own] / taken[theirs] for taken in repeats])
    text = rows_of(("part", f"µs of processor time: the least of many calls, in {len(repeats)} runs"), rows)
    text += f"\n\nThe first sight of a document takes {spread(first_sight, 2)} times what graphql-core takes for it."
    return Found("micro", "parts", 1, text, {"first sight": first_sight}, figures=repeats)


def run(told: Path, seconds: float) -> dict[str, float]:
    """Return the least microseconds of processor time that each part took. Raises BenchmarksFailed."""
    options = (*OPTIONS, f"--benchmark-max-time={seconds}", f"--benchmark-json={told}")
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "tests/benchmarks", *options],
        cwd=PROJECT,
        env={name: value for name, value in os.environ.items() if not name.startswith("HEADWAY_")},
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise BenchmarksFailed(ended.stdout[-2_000:] + ended.stderr[-500:])
    return dict(map(_least, orjson.loads(told.read_bytes())["benchmarks"]))


def _least(benchmark: dict[str, Any]) -> tuple[str, float]:
    about = benchmark["extra_info"]
    return about["part"], benchmark["stats"]["min"] / about["operations"] * 1e6
