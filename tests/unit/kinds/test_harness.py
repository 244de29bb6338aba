"""The harness runs a kind as a worker would, by a clock that moves by itself."""

import asyncio
import time

import pytest
from pydantic import BaseModel, ValidationError

from jobs import kinds
from jobs.harness import KindRun, run_kind
from jobs.kinds import AsyncTaskContext, PermanentError, TaskContext, kind
from tests.fault_kinds import flaky, spin, steps

HOUR_S = 3600.0


class Nothing(BaseModel):
    """Nothing to say."""


@pytest.fixture(autouse=True)
def _keep_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget afterwards what a test declares."""
    monkeypatch.setattr(kinds, "_registry", dict(kinds._registry))


def test_hour_of_sleep_passes_at_once() -> None:
    began = time.monotonic()

    run = run_kind(steps, {"steps": 2, "pause_s": 250.0})

    run.assert_events("RUNNING 1", "progress 1/2", "checkpoint 1", "progress 2/2", "checkpoint 2", "SUCCEEDED")
    assert run.result == {"attempts": 1, "first_step": 0}
    assert run.seconds == 500
    assert time.monotonic() - began < 5


def test_timeout_counts_the_clock_and_the_next_attempt_goes_on_from_the_checkpoint() -> None:
    run = run_kind(steps, {"steps": 3, "pause_s": 250.0})

    run.assert_events(..., "checkpoint 2", "RETRYING TimeoutError: ", "RUNNING 2", "progress 3/3", ..., "SUCCEEDED")
    assert run.result == {"attempts": 2, "first_step": 2}


def test_attempts_that_fail_are_told_and_the_last_is_the_end() -> None:
    run = run_kind(flaky, {"failures": 5})

    run.assert_events(..., "RUNNING 3", "progress 3/10", "FAILED RuntimeError: secret of the house")
    assert run.result is None


def test_permanent_error_is_not_tried_again() -> None:
    run_kind(flaky, {"permanent": True}).assert_events(
        "RUNNING 1", "progress 1/10", "FAILED HOPELESS: this can't ever work"
    )


def test_input_that_the_model_refuses_is_never_a_task() -> None:
    with pytest.raises(ValidationError):
        run_kind(steps, {"steps": "many"})


def test_plain_function_runs_too() -> None:
    run = run_kind(spin, {"steps": 1, "pause_s": 0.001})

    run.assert_events("RUNNING 1", "progress 0/1", ..., "progress 1/1", "SUCCEEDED")


def test_thread_is_waited_for_while_the_clock_stands_still() -> None:
    @kind(timeout_s=HOUR_S)
    async def threaded(ctx: AsyncTaskContext, input: Nothing) -> Nothing:
        await asyncio.to_thread(time.sleep, 0.05)
        return Nothing()

    run = run_kind(threaded, {})

    run.assert_events("RUNNING 1", "SUCCEEDED")
    assert run.seconds == 0


def test_function_that_is_no_kind_is_named() -> None:
    def plain(ctx: TaskContext, input: Nothing) -> Nothing:
        raise PermanentError("never run")

    with pytest.raises(LookupError, match="plain"):
        run_kind(plain, {})


@pytest.mark.parametrize("wanted", [("a",), ("a", "b", "c"), ("b", "a"), (..., "a"), ()])
def test_other_events_than_came_are_an_assertion(wanted: tuple[str, ...]) -> None:
    with pytest.raises(AssertionError, match="expected"):
        KindRun(["a", "b"]).assert_events(*wanted)
