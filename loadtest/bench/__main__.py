"""`make bench`: Headway beside what a user would pick instead, interleaved in one run.

MONGO_URL and REDIS_URL name servers to use for reading and following; otherwise some are started. What is found is
kept in build/bench, measure by measure, and with --write all that is kept goes into docs/performance.md.
"""

import argparse
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from loadtest.bench import follow_part, read_part, results, tasks_part
from loadtest.bench.asking import NoAnswer
from loadtest.bench.contestants import PEERS_PYTHON
from loadtest.bench.crowd import CrowdFailed
from loadtest.bench.goals import against_goals
from loadtest.bench.instructions import instructions
from loadtest.bench.machine import described, make_room
from loadtest.bench.micro_part import BenchmarksFailed, micro
from loadtest.bench.parts import Plan
from loadtest.bench.results import Found
from loadtest.bench.servers import Bench
from stack.process import ProcessFailed
from stack.services import PROJECT, ServerNotFound
from stack.services import found as find_program

OUT = PROJECT / "build" / "bench"
PAGE = PROJECT / "docs" / "performance.md"
WARM_UP_S = 1.0
FOLLOWERS = (200, 3_000)
QUICK_FOLLOWERS = (20,)
FAILURES = (ProcessFailed, ServerNotFound, NoAnswer, CrowdFailed, BenchmarksFailed, subprocess.CalledProcessError)


def measure_parts(bench: Bench, plan: Plan) -> Iterator[Found]:
    """Yield what each part by itself takes. Raises BenchmarksFailed and subprocess.CalledProcessError."""
    if plan.wants("parts"):
        yield micro(bench.folder, plan)
    if plan.wants("instructions") and find_program("vgdb"):
        yield instructions(bench, plan)


PARTS: dict[str, tuple[Callable[[Bench, Plan], Iterator[Found]], tuple[str, ...]]] = {
    "read": (read_part.read, read_part.MEASURES),
    "follow": (follow_part.follow, follow_part.MEASURES),
    "tasks": (tasks_part.tasks, tasks_part.MEASURES),
    "micro": (measure_parts, ("parts", "instructions")),
}
MEASURES = sorted({measure for _, measures in PARTS.values() for measure in measures})


def main() -> int:
    """Run the parts that are named, by default all; one that fails stops no other."""
    asked = arguments()
    plan = Plan(
        repeats=1 if asked.quick else asked.repeats,
        seconds=0.5 if asked.quick else asked.seconds,
        warm_up_s=0.2 if asked.quick else WARM_UP_S,
        followers=tuple(asked.followers or (QUICK_FOLLOWERS if asked.quick else FOLLOWERS)),
        is_quick=asked.quick,
        only=tuple(asked.only),
        measures=tuple(asked.measures),
        python=asked.python,
    )
    make_room()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # So that nothing that was started is left.
    asked.out.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="headway-bench-") as folder,
        Bench(Path(folder), asked.out / "logs") as bench,
    ):
        failed = False
        for part in asked.parts or PARTS:
            try:
                run(part, bench, plan, asked.out)
            except FAILURES as exc:
                sys.stderr.write(f"{part}: {exc}\n")
                failed = True
            if asked.write:
                results.write(part, asked.out, PAGE)
    goals = against_goals(results.kept(asked.out))
    sys.stdout.write(f"\n{goals}\n\nThe tables are in {asked.out}/*.md\n")
    if asked.write:
        results.put(PAGE, "goals", goals)
    return int(failed)


def arguments() -> argparse.Namespace:
    """Return what was asked for on the command line."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.partition("\n")[0])
    known = f"of {', '.join(PARTS)}; all where none is named"
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], metavar="PART", help=known)
    parser.add_argument(
        "--measures", nargs="+", default=[], choices=MEASURES, metavar="NAME", help=f"of {', '.join(MEASURES)}"
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.2, help="of a turn of reading and following")
    parser.add_argument("--followers", type=int, nargs="+", metavar="N", help="200 and 3000 unless given")
    parser.add_argument("--only", nargs="+", default=[], metavar="WORD", help="contestants whose names hold a WORD")
    parser.add_argument("--quick", action="store_true", help="look whether all of it works; its figures say nothing")
    parser.add_argument("--python", default=str(PEERS_PYTHON), help="what runs the peers that are written in Python")
    parser.add_argument("--out", type=Path, help="where the tables and charts go: build/bench, or quick in it")
    parser.add_argument("--write", action="store_true", help="put all tables that are there into docs/performance.md")
    asked = parser.parse_args()
    if asked.quick and asked.write:
        parser.error("--quick measures nothing that is worth writing")
    asked.out = asked.out or (OUT / "quick" if asked.quick else OUT)
    return asked


def run(part: str, bench: Bench, plan: Plan, out: Path) -> None:
    """Measure a part, and keep what comes out with what it hangs on."""
    measure, _ = PARTS[part]
    began, facts = time.monotonic(), facts_of(plan)
    for found in measure(bench, plan):
        database = f" MongoDB's place is taken by `{bench.database}`." if bench.database else ""
        results.keep(replace(found, facts=facts + database), out)
        (out / f"{part}.md").write_text(results.section(part, out) + "\n", encoding="utf-8")
    sys.stdout.write(f"{part} took {time.monotonic() - began:.0f} s\n")


def facts_of(plan: Plan) -> str:
    """Return what figures hang on."""
    given = shlex.join(sys.argv[1:])
    command = f'make bench ARGS="{given}"' if given else "make bench"
    return (
        f"{datetime.now(UTC):%d %B %Y %H:%M} UTC; {described()}; Python {sys.version.partition(' ')[0]}; `{command}`: "
        f"{plan.repeats} repeats where nothing else is said, {plan.seconds:g} s a turn of reading and following."
    )


if __name__ == "__main__":
    sys.exit(main())
