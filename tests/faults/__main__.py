"""`python -m tests.faults`: run the scenarios on a stack of their own, print the table, and say what does not hold."""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.faults.report import Row, page, table
from tests.faults.run import run_scenario
from tests.faults.scenarios import SCENARIOS
from tests.faults.world import running_world


async def run(names: list[str], tasks: int, followers: int, write: Path | None) -> int:
    """Run these scenarios one after the other; return 1 if some promise was broken."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="headway-faults-") as folder:
        async with running_world(Path(folder)) as world:
            for name in names:
                row = await run_scenario(world, name, tasks, followers)
                rows.append(row)
                sys.stdout.write(f"{table([row], heading=len(rows) == 1)}\n")
                for what in row.verdict.broken[:20]:
                    sys.stdout.write(f"  broken: {what}\n")
                sys.stdout.flush()
                if write:
                    text = page(rows, tasks, followers)
                    await asyncio.to_thread(write.write_text, text, encoding="utf-8")
    return int(any(row.verdict.broken for row in rows))


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="scenario", help="one of " + ", ".join(SCENARIOS))
    parser.add_argument("--tasks", type=int, default=1400, help="tasks in each scenario")
    parser.add_argument("--followers", type=int, default=220, help="subscribers in each scenario")
    parser.add_argument("--write", type=Path, help="where to write the page with the table")
    given = parser.parse_args()
    names = given.scenarios or list(SCENARIOS)
    if unknown := set(names) - SCENARIOS.keys():
        parser.error(f"no scenario {sorted(unknown)[0]}; there are {', '.join(SCENARIOS)}")
    return asyncio.run(run(names, given.tasks, given.followers, given.write))


if __name__ == "__main__":
    sys.exit(main())
