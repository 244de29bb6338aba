"""What still works while a service is away (docs/runbook.md has the table), and that it all comes back by itself.

A process is stopped, not killed: its connections stay and nothing answers on them, which is the harder outage.
"""

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from tests.acceptance.test_up import until
from tests.running_stack import RunningStack, start_stack

READ = "{ items(first: 1) { nodes { id } } tasks(first: 1) { nodes { id } } }"
WRITE = 'mutation { createItem(input: {name: "degraded"}) { id } }'
SUBMIT = 'mutation { processData(input: {data: "degraded", iterations: 3}) { id status publishedAt } }'
CANCEL = "mutation ($id: ID!) { cancelTask(id: $id) { status } }"
STATUS = "query ($id: ID!) { task(id: $id) { status } }"
COUNT = "{ tasks { totalCount } }"
TICK = "mutation ($n: Int!) { tick(input: {ticks: $n, pauseS: 0.2}) { id } }"
FOLLOW = "subscription ($id: ID!) { taskProgress(id: $id) { status attempt delivery progress { current } } }"
LONG = 1_000


@pytest.fixture(scope="module")
def stack_to_cripple(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """A stack whose services these tests may stop."""
    environment = {"HEADWAY_KIND_MODULES": "tests.load.kinds"}
    stack = start_stack(tmp_path_factory.mktemp("crippled") / "data", "--gateways", "1", env=environment)
    yield stack
    assert stack.stop() == 0, stack.said()


@contextlib.contextmanager
def away(stack: RunningStack, role: str) -> Iterator[None]:
    """Stop a process of the stack for a while, and have it back at the end."""
    pid = stack.processes().processes[role].pid
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def ask(stack: RunningStack, query: str, **variables: Any) -> dict[str, Any]:
    """Return the whole answer of the API."""
    asked = {"query": query, "variables": variables}
    answer: dict[str, Any] = httpx.post(f"{stack.url}/graphql", json=asked, timeout=60).json()
    return answer


def told(stack: RunningStack, query: str, **variables: Any) -> dict[str, Any]:
    """Return the data of an answer that has no error."""
    answer = ask(stack, query, **variables)
    assert "errors" not in answer, answer
    return dict(answer["data"])


def health(stack: RunningStack) -> tuple[str, dict[str, str], int]:
    """Return what `/health` says in all and of each service, and the status of `/readyz`."""
    found = httpx.get(f"{stack.url}/health", timeout=10).json()
    return found["status"], found["services"], httpx.get(f"{stack.url}/readyz", timeout=10).status_code


@contextlib.contextmanager
def following(stack: RunningStack, task_id: str) -> Iterator[Callable[[], dict[str, Any]]]:
    """Follow a task; yield what returns the next that is told of it, or the errors."""
    with connect(stack.ws_url, subprotocols=["graphql-transport-ws"]) as socket:  # type: ignore[list-item]
        socket.send(json.dumps({"type": "connection_init"}))
        assert json.loads(socket.recv(30))["type"] == "connection_ack"
        payload = {"query": FOLLOW, "variables": {"id": task_id}}
        socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": payload}))

        def tell() -> dict[str, Any]:
            frame = json.loads(socket.recv(30))
            if frame["type"] == "error":
                return {"code": frame["payload"][0]["extensions"]["code"]}
            told: dict[str, Any] = frame["payload"]["data"]["taskProgress"]
            return told

        yield tell


def runs_again(stack: RunningStack, task_id: str) -> None:
    """Wait for the success of a task that was submitted during an outage, and for a healthy stack."""
    until(lambda: told(stack, STATUS, id=task_id)["task"]["status"] == "SUCCEEDED")
    until(lambda: health(stack)[0] == "healthy")


@pytest.mark.parametrize("role", ["redis", "rabbitmq"])
def test_without_redis_or_rabbitmq_all_is_accepted_and_runs_later(stack_to_cripple: RunningStack, role: str) -> None:
    stack = stack_to_cripple
    with away(stack, role):
        status, services, ready = health(stack)
        assert (status, ready) == ("degraded", 200)
        assert [name for name, state in services.items() if state == "down"] == [role]
        told(stack, READ)
        told(stack, WRITE)
        kept, dropped = (told(stack, SUBMIT)["processData"] for _ in range(2))
        assert (kept["publishedAt"] is None) == (role == "rabbitmq")
        assert told(stack, CANCEL, id=dropped["id"])["cancelTask"]["status"] == "CANCELLED"
        assert told(stack, STATUS, id=kept["id"])["task"]["status"] == "PENDING"
    runs_again(stack, kept["id"])
    assert told(stack, STATUS, id=dropped["id"])["task"]["status"] == "CANCELLED"


def test_without_mongodb_everything_is_unavailable_until_it_is_back(stack_to_cripple: RunningStack) -> None:
    stack = stack_to_cripple
    before = told(stack, COUNT)["tasks"]["totalCount"]
    with away(stack, "mongodb"):
        status, services, ready = health(stack)
        assert (status, services["mongodb"], ready) == ("unhealthy", "down", 503)
        assert services["redis"] == services["rabbitmq"] == "up"
        for query in (READ, WRITE, SUBMIT):
            codes = {error["extensions"]["code"] for error in ask(stack, query)["errors"]}
            assert codes == {"UNAVAILABLE"}, query
    until(lambda: health(stack)[0] == "healthy")
    submitted = told(stack, SUBMIT)["processData"]
    runs_again(stack, submitted["id"])
    # The stopped server may have read the refused submit when it went on: then that is a whole task too.
    assert told(stack, COUNT)["tasks"]["totalCount"] in (before + 1, before + 2)


def test_without_workers_all_is_accepted_waits_and_can_be_cancelled(stack_to_cripple: RunningStack) -> None:
    stack = stack_to_cripple
    with away(stack, "worker-1"):
        assert health(stack)[0] == "healthy"
        told(stack, READ)
        told(stack, WRITE)
        kept, dropped = (told(stack, SUBMIT)["processData"]["id"] for _ in range(2))
        until(lambda: told(stack, STATUS, id=kept)["task"]["status"] == "QUEUED")
        assert told(stack, CANCEL, id=dropped)["cancelTask"]["status"] == "CANCELLED"
    runs_again(stack, kept)


@pytest.mark.parametrize(("role", "delivery"), [("redis", "DEGRADED"), ("rabbitmq", "LIVE"), ("mongodb", "LIVE")])
def test_running_task_goes_on_and_is_followed_without(stack_to_cripple: RunningStack, role: str, delivery: str) -> None:
    stack = stack_to_cripple
    until(lambda: health(stack)[0] == "healthy")
    task_id = told(stack, TICK, n=60)["tick"]["id"]
    with following(stack, task_id) as tell:
        while (seen := tell())["progress"]["current"] < 3:
            pass
        with away(stack, role):
            while (now := tell())["progress"]["current"] < seen["progress"]["current"] + 10:
                pass
            assert (now["status"], now["delivery"]) == ("RUNNING", delivery)
        while (end := tell())["status"] == "RUNNING":
            pass
    assert (end["status"], end["attempt"], end["progress"]["current"]) == ("SUCCEEDED", 1, 60)


def test_without_mongodb_nobody_joins_or_cancels(stack_to_cripple: RunningStack) -> None:
    stack = stack_to_cripple
    until(lambda: health(stack)[0] == "healthy")
    task_id = told(stack, TICK, n=30)["tick"]["id"]
    with away(stack, "mongodb"):
        with following(stack, task_id) as tell:
            assert tell() == {"code": "UNAVAILABLE"}
        codes = {error["extensions"]["code"] for error in ask(stack, CANCEL, id=task_id)["errors"]}
        assert codes == {"UNAVAILABLE"}
    runs_again(stack, task_id)


def test_cancel_of_a_running_task_is_noticed_without_redis(stack_to_cripple: RunningStack) -> None:
    stack = stack_to_cripple
    until(lambda: health(stack)[0] == "healthy")
    task_id = told(stack, TICK, n=LONG)["tick"]["id"]
    until(lambda: told(stack, STATUS, id=task_id)["task"]["status"] == "RUNNING")
    with away(stack, "redis"):
        asked_at = time.monotonic()
        told(stack, CANCEL, id=task_id)
        until(lambda: told(stack, STATUS, id=task_id)["task"]["status"] == "CANCELLED")
        assert time.monotonic() - asked_at < 15  # A beat within 3 s, and what a busy machine adds to it.


def test_without_workers_a_running_task_waits_for_one(stack_to_cripple: RunningStack) -> None:
    stack = stack_to_cripple
    until(lambda: health(stack)[0] == "healthy")
    task_id = told(stack, TICK, n=30)["tick"]["id"]
    with following(stack, task_id) as tell:
        while tell()["status"] != "RUNNING":
            pass
        with away(stack, "worker-1"):
            while tell()["status"] != "QUEUED":
                pass
        while (end := tell())["status"] in ("QUEUED", "RUNNING"):
            pass
    assert (end["status"], end["attempt"]) == ("SUCCEEDED", 2)
