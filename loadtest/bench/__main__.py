"""`make bench`: Headway beside what a user would pick instead, interleaved in one run.

MONGO_URL and REDIS_URL name servers to use; otherwise some are started. The tables and charts go to build/bench, and
with --write into docs/performance.md.
"""

import argparse
import os
import re
import shlex
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import orjson

from loadtest.bench import report
from loadtest.bench.asking import NoAnswer
from loadtest.bench.chart import chart
from loadtest.bench.contestants import PEERS_PYTHON
from loadtest.bench.crowd import CrowdFailed
from loadtest.bench.figures import Contest
from loadtest.bench.follow_part import follow
from loadtest.bench.machine import described, make_room
from loadtest.bench.parts import Plan
from loadtest.bench.read_part import read
from loadtest.bench.servers import Bench
from stack import services
from stack.process import ProcessFailed, free_port
from stack.services import PROJECT

OUT = PROJECT / "build" / "bench"
PAGE = PROJECT / "docs" / "performance.md"
CHARTS = PROJECT / "docs" / "img"
PARTS = ("read", "follow")
WARM_UP_S = 1.0
FOLLOWERS = (200, 3_000)
QUICK = Plan(repeats=1, seconds=0.5, warm_up_s=0.2, followers=(20,))


def main() -> int:
    """Run the parts that are named, by default all."""
    asked = arguments()
    plan = QUICK if asked.quick else Plan(asked.repeats, asked.seconds, WARM_UP_S, FOLLOWERS)
    plan = replace(plan, followers=tuple(asked.followers or plan.followers), only=tuple(asked.only))
    make_room()
    asked.out.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="headway-bench-") as folder,
        Bench(Path(folder), asked.out / "logs") as bench,
    ):
        for part in asked.parts or PARTS:
            began, contests = time.monotonic(), []
            try:
                for contest, facts in run(part, bench, plan, asked.python):
                    contests.append(contest)
                    took = f" It took {time.monotonic() - began:.0f} s."
                    publish(part, contests, facts + took, asked.out, asked.write)
            except (ProcessFailed, services.ServerNotFound, NoAnswer, CrowdFailed) as exc:
                sys.stderr.write(f"{part}: {exc}\n")
                return 1
            sys.stdout.write(f"The tables are in {asked.out / part}.md\n")
    return 0


def arguments() -> argparse.Namespace:
    """Return what was asked for on the command line."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.partition("\n")[0])
    known = f"of {', '.join(PARTS)}; all where none is named"
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], metavar="PART", help=known)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5, help="of a turn")
    parser.add_argument("--followers", type=int, nargs="+", metavar="N", help="200 and 3000 unless given")
    parser.add_argument("--only", nargs="+", default=[], metavar="WORD", help="contestants whose names hold a WORD")
    parser.add_argument("--quick", action="store_true", help="look whether all of it works; its figures say nothing")
    parser.add_argument("--python", default=str(PEERS_PYTHON), help="what runs the peers that are written in Python")
    parser.add_argument("--out", type=Path, default=OUT, help="where the tables and charts go")
    parser.add_argument("--write", action="store_true", help="put them into docs/performance.md too")
    return parser.parse_args()


def run(part: str, bench: Bench, plan: Plan, python: str) -> Iterator[tuple[Contest, str]]:
    """Measure a part; yield what comes out, with what it hangs on."""
    facts = (
        f"{datetime.now(UTC):%d %B %Y %H:%M} UTC; {described()}; Python {sys.version.partition(' ')[0]}; "
        f"`{command()}`: {plan.repeats} repeats of {plan.seconds:g} s a turn."
    )
    if part == "read":
        for contest in read(bench, plan, python):
            yield contest, facts
        return
    database = services.mongodb(bench.folder, free_port())
    mongo_url = os.environ.get("MONGO_URL") or bench.service(database)
    redis_url = os.environ.get("REDIS_URL") or bench.service(services.redis(bench.folder, free_port()))
    if "MONGO_URL" not in os.environ:
        facts += f" MongoDB's place is taken by `{Path(database.argv[0]).name}`."
    for contest in follow(bench, plan, python, mongo_url, redis_url):
        yield contest, facts


def command() -> str:
    """Return how this was started."""
    given = shlex.join(sys.argv[1:])
    return f'make bench ARGS="{given}"' if given else "make bench"


def publish(part: str, contests: list[Contest], facts: str, out: Path, write: bool) -> None:
    """Write a part's tables, charts and figures."""
    (out / f"{part}.json").write_bytes(orjson.dumps(contests, option=orjson.OPT_INDENT_2))
    names = [f"bench-{part}-{_slug(contest.title)}.svg" for contest in contests]
    for contest, name in zip(contests, names, strict=True):
        for folder in (out, CHARTS) if write else (out,):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(chart(contest), encoding="utf-8")
    (out / f"{part}.md").write_text(report.section(contests, names, facts) + "\n", encoding="utf-8")
    if write:
        report.put(PAGE, part, report.section(contests, [f"img/{name}" for name in names], facts))


def _slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.replace(",", "").lower()).strip("-")


if __name__ == "__main__":
    sys.exit(main())
