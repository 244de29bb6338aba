"""How many instructions the two hottest paths take, counted by valgrind: other work can't disturb that.

What is counted is a whole server that is asked over a socket, everything but the system's own part.
"""

import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import orjson

from loadtest.bench import contestants, following
from loadtest.bench.asking import Clients
from loadtest.bench.figures import Contest
from loadtest.bench.follow_part import Scene
from loadtest.bench.items import LISTED, as_asked, documents
from loadtest.bench.parts import Plan
from loadtest.bench.report import rows_of
from loadtest.bench.results import Found
from loadtest.bench.servers import Bench, Server

WARM_UP, REQUESTS = 200, 300
FOLLOWERS = 20
SECONDS = 6.0
READY_WITHIN_S = 240.0
COUNTED = (contestants.OURS, contestants.LIMIT, contestants.BROADCAST)
HEAD = ("server", "thousand instructions each", "to Headway's")


def instructions(bench: Bench, plan: Plan) -> Found:
    """Return what a request and a message take. Raises ProcessFailed, NoAnswer, CrowdFailed and CalledProcessError."""
    listed, told = _listed(bench, plan), _told(bench, plan)
    text = (
        f"**A list of 20 items in memory**\n\n{_table(listed)}\n\n**A message to a follower, of a task of its own**\n\n"
    )
    return Found("micro", "instructions", 2, text + _table(told), {}, figures={"list": listed, "message": told})


def _table(counts: dict[str, float]) -> str:
    ours = counts[contestants.OURS]
    return rows_of(HEAD, [(name, f"{each / 1000:,.0f}", f"{each / ours:.2f}") for name, each in counts.items()])


def _listed(bench: Bench, plan: Plan) -> dict[str, float]:
    items = bench.folder / "counted.json"
    items.write_bytes(orjson.dumps([as_asked(document) for document in documents(LISTED)]))
    everybody = _counted(contestants.reading(plan.python), bench.folder)
    counts = {}
    with bench.servers(everybody, {"BENCH_ITEMS": str(items)}) as servers:
        for server in servers:
            with Clients(server.port, server.contestant.requests, 1) as clients:
                clients.ask(count=WARM_UP)
                requests = 3 if plan.is_quick else REQUESTS
                counts[server.name] = _count(bench, server, lambda: clients.ask(count=requests).answers)  # noqa: B023
    return counts


def _told(bench: Bench, plan: Plan) -> dict[str, float]:
    counts = {}
    with ExitStack() as stack:
        scene = Scene(bench, plan, Contest("counted", "message"), stack)
        scene.enter(_counted(contestants.following(plan.python), bench.folder), FOLLOWERS, FOLLOWERS)
        for server, crowd, feed in scene.joined.values():
            following.turn(crowd, feed, 0.5)
            seconds = 0.5 if plan.is_quick else SECONDS
            counts[server.name] = _count(bench, server, lambda: following.turn(crowd, feed, seconds).messages)  # noqa: B023
    return counts


def _counted(everybody: list[contestants.Contestant], folder: Path) -> list[contestants.Contestant]:
    """Return those that are counted, under valgrind, which counts nothing before it is told to."""
    out = f"--callgrind-out-file={folder}/counted.%p"
    valgrind = ("valgrind", "--tool=callgrind", "--instr-atstart=no", out)
    return [
        replace(one, argv=(*valgrind, *one.argv), ready_within_s=READY_WITHIN_S)
        for one in everybody
        if one.name in COUNTED
    ]


def _count(bench: Bench, server: Server, operate: Callable[[], int]) -> float:
    """Return the instructions an operation."""
    _tell(server, "instrumentation", "on")
    _tell(server, "zero")
    operations = operate()
    _tell(server, "dump")
    _tell(server, "instrumentation", "off")
    [dumped] = bench.folder.glob(f"counted.{server.pid}.*")
    [summary] = [line for line in dumped.read_text("utf-8").splitlines() if line.startswith("summary:")]
    return int(summary.split()[1]) / operations


def _tell(server: Server, *words: str) -> None:
    subprocess.run(("vgdb", f"--pid={server.pid}", *words), check=True, capture_output=True)
