"""`headway up` from outside: what it starts, what it brings back, what it keeps, and that nothing is left of it."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from stack.process import free_port
from stack.state import STATE_FILE, RunningProcess
from tests.environments import environment_on
from tests.running_stack import PROJECT, RunningStack, descendants, headway_up, start_stack

RESTART_WITHIN_S = 60.0
SUBMIT = 'mutation { processData(input: {data: "up", iterations: 3}) { id } }'
STATUS = "query ($id: ID!) { task(id: $id) { status progress { current total } } }"


def until(condition: Callable[[], Any], within_s: float = RESTART_WITHIN_S) -> Any:
    """Return what the condition returns once that is true. Raises AssertionError after `within_s`."""
    give_up = time.monotonic() + within_s
    while not (value := condition()):
        assert time.monotonic() < give_up, "the condition did not come true"
        time.sleep(0.1)
    return value


def graphql(url: str, query: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
    response = httpx.post(f"{url}/graphql", json={"query": query, "variables": variables or {}}, timeout=30)
    answer: dict[str, Any] = response.json()
    assert "errors" not in answer, answer
    return dict(answer["data"])


def is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def status(url: str, task_id: str) -> str:
    return str(graphql(url, STATUS, {"id": task_id})["task"]["status"])


def run_task(url: str) -> str:
    """Submit a task and wait for its success; return its id."""
    task_id = str(graphql(url, SUBMIT)["processData"]["id"])
    assert until(lambda: (now := status(url, task_id)) in ("SUCCEEDED", "FAILED") and now) == "SUCCEEDED"
    return task_id


@pytest.fixture(scope="module")
def wide_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """Two gateways behind nginx, whose processes these tests may kill."""
    stack = start_stack(tmp_path_factory.mktemp("wide") / "data", "--gateways", "2")
    yield stack
    assert stack.stop() == 0, stack.said()


def test_state_file_names_every_process_and_the_one_address(wide_stack: RunningStack) -> None:
    state = wide_stack.processes()

    assert state.url == wide_stack.url
    assert state.pid == wide_stack.process.pid
    assert state.broker == "rabbitmq"
    assert {"gateway-1", "gateway-2", "bridge-1", "worker-1", "nginx", "mongodb", "redis", "rabbitmq"} <= set(
        state.processes
    )
    for process in state.processes.values():
        os.kill(process.pid, 0)
    for role in ("gateway-1", "gateway-2", "nginx"):
        assert is_ready(f"http://127.0.0.1:{state.processes[role].port}")
    assert f"Ready: {wide_stack.url}" in wide_stack.said()


@pytest.mark.parametrize("role", ["worker-1", "bridge-1", "gateway-1", "nginx", "rabbitmq", "redis", "mongodb"])
def test_killed_process_is_started_again_and_tasks_run(wide_stack: RunningStack, role: str) -> None:
    before = wide_stack.processes().processes[role]
    os.kill(before.pid, signal.SIGKILL)

    def restarted() -> RunningProcess | None:
        now = wide_stack.processes().processes[role]
        return now if now.restarts > before.restarts else None

    after = until(restarted)
    assert after.pid != before.pid
    assert after.port == before.port
    until(lambda: is_ready(wide_stack.url))
    run_task(wide_stack.url)
    assert f"{role} was ended by signal 9; starting it again" in wide_stack.said()


def test_direct_stack_keeps_its_data_and_ctrl_c_leaves_no_process(tmp_path: Path) -> None:
    mark, data = secrets.token_hex(8), tmp_path / "data"
    first = start_stack(data, "--broker", "direct", env={"HEADWAY_TEST_MARK": mark})
    assert first.processes().broker == "direct"
    assert "rabbitmq" not in first.processes().processes
    task_id = run_task(first.url)
    assert len(descendants(mark)) > 5
    began = time.monotonic()
    assert first.stop(signal.SIGINT) == 0, first.said()
    assert time.monotonic() - began < 10
    assert descendants(mark) == []
    assert not (data / STATE_FILE).exists()

    second = start_stack(data, "--broker", "direct", env={"HEADWAY_TEST_MARK": mark})
    try:
        assert status(second.url, task_id) == "SUCCEEDED"
    finally:
        assert second.stop(signal.SIGTERM) == 0, second.said()
    assert descendants(mark) == []


def test_killed_supervisor_takes_all_its_processes_along(tmp_path: Path) -> None:
    mark = secrets.token_hex(8)
    stack = start_stack(tmp_path / "data", env={"HEADWAY_TEST_MARK": mark})
    assert len(descendants(mark)) > 7

    assert stack.stop(signal.SIGKILL) == -signal.SIGKILL

    until(lambda: not descendants(mark), within_s=15)


KILLED = """
import os, pathlib, signal, sys
from tests.running_stack import start_stack
start_stack(pathlib.Path(sys.argv[1]), "--broker", "direct", env={"HEADWAY_TEST_MARK": sys.argv[2]})
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_killed_tests_leave_no_stack_behind(tmp_path: Path) -> None:
    mark = secrets.token_hex(8)
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "data"), mark], cwd=PROJECT, check=False)
    assert done.returncode == -signal.SIGKILL
    until(lambda: not descendants(mark), within_s=15)


def refused(tmp_path: Path, port: int, *, env: dict[str, str] | None = None, data: Path | None = None) -> str:
    """Run a `headway up` that can't succeed; return what it said, having seen it fail and leave nothing."""
    mark, output = secrets.token_hex(8), tmp_path / "refused.out"
    process = headway_up(data or tmp_path / "data", port, (), output, {"HEADWAY_TEST_MARK": mark, **(env or {})})
    assert process.wait(60) == 1
    assert descendants(mark) == []
    said = output.read_text()
    assert "Traceback" not in said
    return said


def test_second_up_on_the_same_data_is_refused(wide_stack: RunningStack, tmp_path: Path) -> None:
    said = refused(tmp_path, free_port(), data=wide_stack.data)

    assert f"pid {wide_stack.process.pid}" in said
    assert "--data" in said
    assert is_ready(wide_stack.url)


def test_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        assert f"headway: port {port} of 127.0.0.1 can't be had" in refused(tmp_path, port)


def test_unreachable_service_is_named_without_its_password(tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    env = {"MONGO_URL": f"mongodb://me:s3cret@{address}", "HEADWAY_STARTUP_WAIT_S": "1"}

    said = refused(tmp_path, free_port(), env=env)

    assert f"MongoDB at mongodb://{address} did not answer within 1 s" in said
    assert "s3cret" not in said


def test_wrong_setting_is_named(tmp_path: Path) -> None:
    assert "log_level" in refused(tmp_path, free_port(), env={"HEADWAY_LOG_LEVEL": "loud"})


def test_demo_draws_the_task_to_its_end(tmp_path: Path) -> None:
    stack = start_stack(tmp_path / "data", "--broker", "direct", "--demo")
    try:
        until(lambda: "Ready:" in stack.said())
        assert "processData SUCCEEDED 200 of 200" in stack.said()
    finally:
        assert stack.stop() == 0, stack.said()


def test_given_services_are_used_and_not_started(tmp_path: Path, mongo_url: str, redis_url: str, amqp_url: str) -> None:
    stack = start_stack(tmp_path / "data", env=environment_on(mongo_url, redis_url, amqp_url))
    try:
        state = stack.processes()
        assert set(state.processes) == {"bridge-1", "worker-1", "gateway-1"}
        assert set(state.services) == {"mongodb", "redis", "rabbitmq"}
        assert "guest:guest" not in (stack.data / STATE_FILE).read_text()
        run_task(stack.url)
    finally:
        assert stack.stop() == 0, stack.said()
