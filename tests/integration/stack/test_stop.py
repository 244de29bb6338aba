"""What the stop of a whole stack costs the tasks that run."""

import time
from pathlib import Path
from typing import Any

import httpx

from jobs.runner import CANCEL_GRACE_S
from stack.supervisor import HAND_BACK_S
from tests.running_stack import RunningStack, start_stack

KINDS = {"HEADWAY_KIND_MODULES": "tests.fault_kinds"}
SUBMIT = 'mutation { submitTask(kind: "stubborn", input: {steps: 600, pauseS: 0.1}) { id } }'
TASK = "query ($id: ID!) { task(id: $id) { status timeline { status reason } } }"
RUNS_WITHIN_S = 30.0


def ask(stack: RunningStack, query: str, **variables: str) -> Any:
    """Return the one field of an answer."""
    body = {"query": query, "variables": variables}
    answer = httpx.post(f"{stack.url}/graphql", json=body, timeout=30).json()
    assert "errors" not in answer, answer
    (field,) = answer["data"].values()
    return field


def test_task_that_does_not_yield_is_handed_back_before_its_worker_is_killed(tmp_path: Path) -> None:
    assert HAND_BACK_S > CANCEL_GRACE_S + 1
    first = start_stack(tmp_path / "data", "--broker", "direct", env=KINDS)
    task_id = ask(first, SUBMIT)["id"]
    give_up = time.monotonic() + RUNS_WITHIN_S
    while ask(first, TASK, id=task_id)["status"] != "RUNNING":
        assert time.monotonic() < give_up
        time.sleep(0.1)
    assert first.stop() == 0, first.said()
    second = start_stack(tmp_path / "data", "--broker", "direct", env=KINDS)
    try:
        timeline = ask(second, TASK, id=task_id)["timeline"]
    finally:
        assert second.stop() == 0, second.said()
    assert {"status": "QUEUED", "reason": "its worker shuts down"} in timeline
