"""What the events of subscriptions come to: rendered once for all who are told the same, by the plan if there is one.

Followers of a task are handed the same objects, and what a plan makes of them depends on nothing else but who asks: the
variables that decide which fields are there have plans of their own, and the arguments of fields that a plan renders
stand in the document. So the outcome is kept for a moment under the plan, whoever asks, and the event.
"""

from collections import OrderedDict
from collections.abc import Hashable, Mapping
from inspect import isawaitable
from typing import Any

from graphql import ExecutionResult, execute_subscription_event

from gateway.metrics import frames_by
from gateway.outcomes import Outcome, outcome_of
from gateway.plans.executor import PlannedExecutor

MAX_FRAMES = 64
"""Events are told to all as they come; for who comes later than this, they are rendered once more."""
MAX_FRAMES_BYTES = 4 * 1024 * 1024
MAX_FRAME_BYTES = 256 * 1024
"""A larger one is not kept: beside its bytes it holds the values that they were written from."""

_RENDERED, _SHARED, _EXECUTED = (frames_by(made) for made in ("rendered", "shared", "executed"))


class Frames:
    """The outcomes of a replica's latest events."""

    def __init__(self, max_response_bytes: int) -> None:
        self._max_response_bytes = max_response_bytes
        self._kept: OrderedDict[Hashable, Outcome] = OrderedDict()
        self._bytes = 0

    def planned(self, executor: PlannedExecutor, event: Any, told: Mapping[str, Any] | None) -> Outcome | None:
        """Return what the plan makes of an event, None if that is nothing. `told` are the outcome's extensions."""
        plan, context = executor.plan, executor.context_value
        if plan.root is None:
            return None
        key = None
        if not told and hasattr(type(event), "told_to_all"):
            key = (plan.number, context.principal, event.told_to_all)
            kept = self._kept.get(key)
            if kept is not None:
                _SHARED.inc()
                return kept
        data = executor.render_event(event)
        if data is None:
            return None
        _RENDERED.inc()
        result = ExecutionResult(data)
        outcome = outcome_of(result, context, told, self._max_response_bytes, repeats=executor.plan.repeats)
        if key is not None and len(outcome.encode()) <= MAX_FRAME_BYTES:
            self._keep(key, outcome)
        return outcome

    async def executed(self, executor: PlannedExecutor, event: Any, told: Mapping[str, Any] | None) -> Outcome:
        """Return what graphql-core makes of an event."""
        _EXECUTED.inc()
        result = execute_subscription_event(executor.build_per_event_executor(event))
        result = await result if isawaitable(result) else result
        return outcome_of(result, executor.context_value, told, self._max_response_bytes)

    def _keep(self, key: Hashable, outcome: Outcome) -> None:
        self._kept[key] = outcome
        self._bytes += len(outcome.encode())
        while len(self._kept) > 1 and (len(self._kept) > MAX_FRAMES or self._bytes > MAX_FRAMES_BYTES):
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= len(oldest.encode())
