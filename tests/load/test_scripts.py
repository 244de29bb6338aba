"""The load scripts on a real stack, all at once for ten seconds: each does what it says, and nothing fails.

Their bounds of time are for a machine that does nothing else, as `make load` has it; here only that each is judged is
looked at.
"""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from stack.process import free_port
from tests.load.memory import table as memory_table
from tests.load.memory import watched
from tests.load.script import SCRIPTS, run_script
from tests.running_stack import PROJECT, RunningStack

SECONDS = 10
RATE = 2
MEASURED = {
    "items": {"read"},
    "submit": {"submit"},
    "subscribe": {"submit", "to the end"},
    "mixed": {"read", "submit", "to the end"},
    "soak": {"read", "submit", "to the end"},
}


def test_every_script_is_known() -> None:
    assert {path.stem for path in (PROJECT / "loadtest").glob("*.js")} == {*SCRIPTS, "load"}


@pytest.fixture(scope="module")
def runs(stack: RunningStack) -> "dict[str, subprocess.CompletedProcess[str]]":
    """How each script went."""
    with ThreadPoolExecutor(len(SCRIPTS)) as pool:
        begun = {name: pool.submit(run_script, name, stack.url, seconds=SECONDS, rate=RATE) for name in SCRIPTS}
        return {name: run.result() for name, run in begun.items()}


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_measures_what_it_says_and_nothing_fails(
    runs: "dict[str, subprocess.CompletedProcess[str]]", name: str
) -> None:
    done = runs[name]
    rows = {line.split("|")[1].strip(): int(line.split("|")[2]) for line in table(done.stdout)}
    assert rows.keys() - {"turn"} == MEASURED[name], done.stdout + done.stderr
    assert rows["turn"] == SECONDS * RATE, done.stdout
    assert "* held: failed turns 0.00 %" in done.stdout
    assert (done.returncode == 0) == ("**BROKEN**" not in done.stdout)


def test_memory_of_each_process_is_told(stack: RunningStack) -> None:
    with watched(stack, seconds=40) as looks:
        pass
    assert len(looks) == 2
    assert looks[-1].keys() == stack.processes().processes.keys()
    assert all(megabytes > 1 for look in looks for megabytes in look.values())
    assert f"| gateway-1 | {looks[0]['gateway-1']:.0f} |" in memory_table(looks)


def test_units_are_measured_of_each_process() -> None:
    asked = ("--seconds", "2", "--rate", "10", "--followers", "5")
    done = subprocess.run(
        [sys.executable, "-m", "tests.load.units", *asked],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    assert done.returncode == 0, done.stderr
    costs = {cells[1].strip(): float(cells[3]) for cells in (line.split("|") for line in done.stdout.splitlines()[2:])}
    assert {"mongodb", "redis", "gateway-1", "bridge-1", "worker-1"} <= costs.keys()
    assert costs["gateway-1"] > 0


def test_broken_bound_is_told_by_the_exit_status() -> None:
    done = run_script("items", f"http://127.0.0.1:{free_port()}", seconds=1, rate=4)
    assert done.returncode == 1
    assert "**BROKEN**: failed turns 100.00 %" in done.stdout
    assert "failed 4 times: ECONNREFUSED" in done.stdout


def table(summary: str) -> list[str]:
    """Return the rows of what was measured."""
    return [line for line in summary.splitlines() if line.startswith("| ")][2:]
