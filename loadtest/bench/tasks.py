"""The task path: from a submit over HTTP through RabbitMQ to the stored end, beside what one would pick instead.

Run: python -m loadtest.bench.tasks [through] [follow] [growth] [--repeats N] [--quick] [--only NAME ...]. The
contestants take turns on the same servers, one at a time, in another order each repeat. It prints Markdown and writes
it to build/bench/tasks-<parts>.md, with every figure beside it as JSON.
"""

import argparse
import random
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from loadtest.bench import task_follow, task_growth
from loadtest.bench.task_contestants import ENTRIES, Entry
from loadtest.bench.task_report import OURS, heading, starts, throughput
from loadtest.bench.task_world import Servers, Spent, running_servers
from stack.services import PROJECT

OUTPUT = PROJECT / "build" / "bench"
STEPS = 10
ALONE = 60
QUICK = 0.1
"""Of the tasks of a whole turn."""
WARM_UP = 0.1


def through(servers: Servers, asked: argparse.Namespace, figures: dict[str, Any]) -> str:
    """Measure every contestant; return the tables."""
    entries = [entry for entry in ENTRIES if not asked.only or entry.name in asked.only]
    counts = {entry.name: max(20, int(entry.count * (QUICK if asked.quick else 1))) for entry in entries}
    runs: dict[str, dict[str, list[Spent]]] = {load: {entry.name: [] for entry in entries} for load in ("0", "10")}
    lines: list[Spent] = []
    took: dict[str, list[list[float]]] = {entry.name: [] for entry in entries}
    for _ in range(asked.repeats):
        for entry in random.sample(entries, len(entries)):
            count = counts[entry.name]
            with entry.start(servers) as contestant:
                contestant.together(max(10, int(count * WARM_UP)))
                runs["0"][entry.name].append(contestant.together(count))
                runs["10"][entry.name].append(contestant.together(count, steps=STEPS))
                if entry.name == OURS:
                    lines.append(contestant.together(count, lines=STEPS))
                took[entry.name].append(contestant.alone(10 if asked.quick else ALONE))
            tell(entry, runs)
    figures["through"] = {f"{load} steps": plain(by) for load, by in runs.items()}
    figures["counts"], figures["starts"] = counts, took
    texts = [
        "## Submit to done, a task that does nothing\n",
        throughput(runs["0"], counts),
        f"## The same with {STEPS} progress events each\n",
        throughput(runs["10"], counts),
    ]
    if lines:
        figures["lines"] = [asdict(one) for one in lines]
        beside = runs["10"] | {f"{OURS}, {STEPS} lines in place of progress": lines}
        texts[-1] = throughput(beside, counts | {f"{OURS}, {STEPS} lines in place of progress": counts[OURS]})
    return "\n".join([*texts, "## Submit to the start of the task, an idle system\n", starts(took)])


def plain(runs: dict[str, list[Spent]]) -> dict[str, list[dict[str, float]]]:
    """Return runs as JSON has them."""
    return {name: [asdict(one) for one in each] for name, each in runs.items()}


def tell(entry: Entry, runs: dict[str, dict[str, list[Spent]]]) -> None:
    """Say on standard error how the turn went."""
    seconds = ", ".join(f"{by[entry.name][-1].seconds:.2f} s" for by in runs.values())
    sys.stderr.write(f"{entry.name}: {seconds}\n")


PARTS = {"through": through, "follow": task_follow.measure, "growth": task_growth.measure}


def main(argv: list[str] | None = None) -> int:
    """Measure the parts that are named, by default all."""
    parser = argparse.ArgumentParser(prog="loadtest.bench.tasks", description="Measure the task path.")
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one repeat of a tenth, to see that everything works")
    parser.add_argument("--only", nargs="*", choices=[entry.name for entry in ENTRIES], help="these contestants")
    asked = parser.parse_args(argv)
    if asked.quick:
        asked.repeats = 1
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="headway-bench-") as folder, running_servers(Path(folder)) as servers:
        command = " ".join(["python -m loadtest.bench.tasks", *(sys.argv[1:] if argv is None else argv)])
        texts = [heading(command, servers)]
        texts += [PARTS[part](servers, asked, figures) for part in asked.parts or PARTS]
    OUTPUT.mkdir(parents=True, exist_ok=True)
    name = "-".join(["tasks", *asked.parts])
    (OUTPUT / f"{name}.json").write_bytes(orjson.dumps(figures, option=orjson.OPT_INDENT_2))
    (OUTPUT / f"{name}.md").write_text("\n".join(texts), encoding="utf-8")
    sys.stdout.write("\n".join(texts) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
