"""Runs a kind in the test's own process: no broker, no worker, and a clock that moves by itself.

The input is checked, attempts fail and are tried again, a checkpoint goes to the next attempt and the result is checked
as a worker would do it. Time is the event loop's: a kind that sleeps an hour is done at once, and its timeout counts
the hour. Threads and `time.sleep` take the time that they take, and a network's answers are not waited for.
"""

import asyncio
import selectors
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from types import EllipsisType
from typing import Any, TypeVar, TypeVarTuple, Unpack
from uuid import UUID

import orjson
from pydantic import BaseModel

from core.ids import new_id
from jobs.kinds import Kind, PermanentError, kind_of

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
PAUSE_S = 1.0
"""How far the clock moves between two attempts."""


class MovedLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to what is due next instead of waiting for it."""

    def __init__(self) -> None:
        super().__init__(_ImpatientSelector(self._pass))
        self._moved_s = 0.0
        self._threads: set[asyncio.Future[Any]] = set()

    def time(self) -> float:
        """Return the loop's moment, in seconds since it was made."""
        return self._moved_s

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Run it in a thread; meanwhile the clock stands still."""
        future = super().run_in_executor(executor, func, *args)
        self._threads.add(future)
        future.add_done_callback(self._threads.discard)
        return future

    def _pass(self, seconds: float) -> bool:
        """Let this much time pass at once, unless a thread is at work. Returns whether it did."""
        if not self._threads:
            self._moved_s += seconds
        return not self._threads


class _ImpatientSelector(selectors.SelectSelector):
    def __init__(self, let_pass: Callable[[float], bool]) -> None:
        super().__init__()
        self._let_pass = let_pass

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout > 0:
            ready = super().select(0)
            if ready or self._let_pass(timeout):
                return ready
            return super().select(None)  # The thread's end wakes it.
        return super().select(timeout)


@dataclass
class KindRun:
    """What came of a task. `events` are sentences such as those of `assert_events`; `seconds` is the clock's."""

    events: list[str] = field(default_factory=list)
    result: Any = None
    seconds: float = 0.0

    def assert_events(self, *wanted: "str | EllipsisType") -> None:
        """Assert that exactly these events came, in this order; `...` stands for any number of any."""
        assert _matches(self.events, list(wanted)), f"expected {list(wanted)}\ngot      {self.events}"


class _Context:
    """What the attempt speaks to."""

    def __init__(self, run: KindRun, task_id: UUID, attempt: int, state: Any) -> None:
        self._run = run
        self.task_id, self.attempt, self.state = task_id, attempt, state

    def progress(self, current: int, total: int | None = None, message: str | None = None) -> None:
        of, said = "" if total is None else f"/{total}", "" if message is None else f" {message}"
        self._run.events.append(f"progress {current}{of}{said}")

    def log(self, text: str) -> None:
        self._run.events.append(f"log {text[:2000]}")

    async def checkpoint(self, state: Any) -> None:
        self.state = orjson.loads(orjson.dumps(state))
        self._run.events.append(f"checkpoint {orjson.dumps(state).decode()}")


def run_kind(function: Callable[..., Any], task_input: Mapping[str, Any], *, owner: str = "local") -> KindRun:
    """Run a task of the function's kind to its end, each attempt included.

    Raises pydantic.ValidationError if the input is not the model's, and what the kind's `check` raises: such a task is
    never accepted. Raises LookupError if the function was not declared with @kind.
    """
    with asyncio.Runner(loop_factory=MovedLoop) as runner:
        return runner.run(_run(kind_of(function), task_input, owner))


async def _run(kind: Kind, task_input: Mapping[str, Any], owner: str) -> KindRun:
    checked = kind.input_model.model_validate_json(orjson.dumps(task_input))
    if kind.check is not None:
        await kind.check(checked, owner)
    loop, run, task_id, state = asyncio.get_running_loop(), KindRun(), new_id(), None
    for attempt in range(1, kind.max_attempts + 1):
        context = _Context(run, task_id, attempt, state)
        run.events.append(f"RUNNING {attempt}")
        try:
            run.result = await _attempt(kind, context, checked)
            run.events.append("SUCCEEDED")
            break
        except PermanentError as exc:
            run.events.append(f"FAILED {exc.code}: {exc}")
            break
        except Exception as exc:  # noqa: BLE001  # As a worker does: whatever a kind raises is its attempt's end.
            status = "FAILED" if attempt == kind.max_attempts else "RETRYING"
            run.events.append(f"{status} {type(exc).__name__}: {exc}")
            state = context.state
            await asyncio.sleep(PAUSE_S)
    run.seconds = loop.time()
    return run


async def _attempt(kind: Kind, context: _Context, checked: BaseModel) -> Any:
    if kind.is_cpu_bound:
        result = kind.function(context, checked)
    else:
        async with asyncio.timeout(kind.timeout_s):
            result = await kind.function(context, checked)
    return kind.result_model.model_validate(result).model_dump(mode="json")


def _matches(events: list[str], wanted: "list[str | EllipsisType]") -> bool:
    if not wanted:
        return not events
    if wanted[0] is ...:
        return any(_matches(events[skipped:], wanted[1:]) for skipped in range(len(events) + 1))
    return bool(events) and events[0] == wanted[0] and _matches(events[1:], wanted[1:])
