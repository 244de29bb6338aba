"""`headway watch` goes on after its gateway was killed, and misses nothing."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running_stack import PROJECT, RunningStack, clean_environment, start_stack

STEPS = 40


@pytest.fixture
def mortal_stack(tmp_path: Path) -> Iterator[RunningStack]:
    """A stack with slow kinds, whose processes a test may kill."""
    stack = start_stack(
        tmp_path / "data", "--broker", "direct", "--reload", env={"HEADWAY_KIND_MODULES": "tests.fault_kinds"}
    )
    yield stack
    assert stack.stop() == 0, stack.said()


@pytest.mark.timeout(240)
def test_watch_tells_every_event_once_though_its_gateway_is_killed(mortal_stack: RunningStack, tmp_path: Path) -> None:
    headway = [str(Path(sys.executable).with_name("headway"))]
    environment = clean_environment(tmp_path) | {"HEADWAY_URL": mortal_stack.url}
    submit = [*headway, "submit", "steps", "--steps", str(STEPS), "--pause-s", "0.25"]
    task_id = subprocess.run(
        submit, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, check=True, timeout=60
    ).stdout
    watch = [*headway, "watch", task_id.decode().strip(), "--json"]
    with subprocess.Popen(watch, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        told = [json.loads(watching.stdout.readline())]
        while told[-1]["event"] != "Progressed":
            told.append(json.loads(watching.stdout.readline()))
        os.kill(mortal_stack.processes().processes["gateway-1"].pid, signal.SIGKILL)
        told += [json.loads(line) for line in watching.stdout]
        status = watching.wait(60)

    assert status == 0
    *events, ended = told
    assert ended["status"] == "SUCCEEDED"
    currents = [event["progress"]["current"] for event in events if event["event"] == "Progressed"]
    assert currents == list(range(currents[0], STEPS + 1))
    cursors = [tuple(map(int, event["cursor"].split("-"))) for event in events]
    assert cursors == sorted(set(cursors))
    assert mortal_stack.processes().processes["gateway-1"].restarts == 1
