"""`python -m tests.faults`: run the scenarios on a stack of their own, print the table, and say what does not hold."""

import argparse
import asyncio
import math
import sys
import tempfile
import time
from collections import deque
from pathlib import Path

from tests.faults.report import Row, page, table
from tests.faults.run import run_scenario
from tests.faults.scenarios import SCENARIOS
from tests.faults.world import World, running_world

SCENARIO_WITHIN_S = 600.0
BROKEN_PRINTED = 20


class Session:
    """Runs scenarios one after the other on one stack, and on a new one after a scenario that left tasks behind.

    After `within_s` it begins no other scenario.
    """

    def __init__(self, names: list[str], tasks: int, followers: int, write: Path | None, within_s: float) -> None:
        self.rows: list[Row] = []
        self._mongodb = ""
        self._left = deque(names)
        self._tasks = tasks
        self._followers = followers
        self._write = write
        self._within_s = within_s
        self._began = time.monotonic()

    def say(self, line: str) -> None:
        """Print a line with the minutes since the start."""
        minutes, seconds = divmod(int(time.monotonic() - self._began), 60)
        sys.stdout.write(f"{minutes:02}:{seconds:02} {line}\n")
        sys.stdout.flush()

    @property
    def _has_more(self) -> bool:
        return bool(self._left) and time.monotonic() - self._began < self._within_s

    async def run(self) -> None:
        """Run all of them; one that fails is reported and the next one has its turn."""
        while self._has_more:
            with tempfile.TemporaryDirectory(prefix="headway-faults-", ignore_cleanup_errors=True) as folder:
                try:
                    async with running_world(Path(folder)) as world:
                        self._mongodb = world.servers.mongodb.name
                        await self._run_on(world)
                except Exception as exc:  # Whatever kept a stack from starting or ending.
                    self.say(f"The stack failed: {type(exc).__name__}: {exc}")
                    if not self.rows:
                        raise

    async def _run_on(self, world: World) -> None:
        while self._has_more:
            name = self._left.popleft()
            self.say(f"{name}: submitting {self._tasks:,} tasks")
            try:
                async with asyncio.timeout(SCENARIO_WITHIN_S):
                    row = await run_scenario(world, name, self._tasks, self._followers, self.say)
            except Exception as exc:  # noqa: BLE001  # It is reported, and the other scenarios still have their turn.
                row = Row.of_failure(name, exc)
            await self._report(row)
            if row.verdict.lost or not row.tasks:
                return

    async def _report(self, row: Row) -> None:
        self.rows.append(row)
        sys.stdout.write(f"{table([row], heading=len(self.rows) == 1)}\n")
        sys.stdout.writelines(f"  broken: {what}\n" for what in row.verdict.broken[:BROKEN_PRINTED])
        sys.stdout.writelines(f"  missed: {what}\n" for what in row.missed())
        sys.stdout.flush()
        if self._write:
            measured = {row.name for row in self.rows}
            unmeasured = [name for name in SCENARIOS if name not in measured]
            text = page(self.rows, self._tasks, self._followers, self._mongodb, unmeasured)
            await asyncio.to_thread(self._write.write_text, text, encoding="utf-8")


def main() -> int:
    """Read the command line and run. Returns 1 if some promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="scenario", help="one of " + ", ".join(SCENARIOS))
    parser.add_argument("--tasks", type=int, default=1250, help="tasks in each scenario")
    parser.add_argument("--followers", type=int, default=220, help="subscribers in each scenario")
    parser.add_argument("--write", type=Path, help="where to write the page with the table")
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no other scenario after so many")
    given = parser.parse_args()
    names = given.scenarios or list(SCENARIOS)
    if unknown := set(names) - SCENARIOS.keys():
        parser.error(f"no scenario {sorted(unknown)[0]}; there are {', '.join(SCENARIOS)}")
    session = Session(names, given.tasks, given.followers, given.write, 60 * given.minutes)
    asyncio.run(session.run())
    session.say(f"The end.\n{table(session.rows)}")
    return int(not session.rows or any(row.verdict.broken for row in session.rows))


if __name__ == "__main__":
    sys.exit(main())
