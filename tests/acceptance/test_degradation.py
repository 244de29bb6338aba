"""What still works while a service is away (docs/runbook.md has the table), and that it all comes back by itself.

A process is stopped, not killed: its connections stay and nothing answers on them, which is the harder outage.
"""

import contextlib
import os
import signal
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.acceptance.test_up import until
from tests.running_stack import RunningStack, start_stack

READ = "{ items(first: 1) { nodes { id } } tasks(first: 1) { nodes { id } } }"
WRITE = 'mutation { createItem(input: {name: "degraded"}) { id } }'
SUBMIT = 'mutation { processData(input: {data: "degraded", iterations: 3}) { id status publishedAt } }'
CANCEL = "mutation ($id: ID!) { cancelTask(id: $id) { status } }"
STATUS = "query ($id: ID!) { task(id: $id) { status } }"
COUNT = "{ tasks { totalCount } }"


@pytest.fixture(scope="module")
def stack_to_cripple(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """A stack whose services these tests may stop."""
    stack = start_stack(tmp_path_factory.mktemp("crippled") / "data", "--gateways", "1")
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
