"""What the events of subscriptions come to: rendered once for all who are told the same, by the plan if there is one.

Followers of a task are handed the same objects, and what a plan makes of them depends on nothing else but who asks: the
variables that decide which fields are there have plans of their own, and the arguments of fields that a plan renders
stand in the document. So the outcome is kept for a moment under the plan, whoever asks, and the event.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from inspect import isawaitable
from typing import Any

import orjson
from graphql import ExecutionResult, execute_subscription_event

from gateway.identity.principals import Principal
from gateway.metrics import frames_by
from gateway.outcomes import Outcome, outcome_of
from gateway.plans.execution import Execution
from gateway.plans.executor import PlannedExecutor
from gateway.plans.plan import Plan

MAX_FRAMES = 64
"""Events are told to all as they come; for who comes later than this, they are rendered once more."""
MAX_MADE = 8
"""Answers made of one event that are looked through one by one; where followers ask for more, all are found by keys."""
MAX_FRAMES_BYTES = 4 * 1024 * 1024
MAX_FRAME_BYTES = 256 * 1024
"""A larger one is not kept: beside its bytes it holds the values that they were written from."""

frames_by.update(dict.fromkeys(("rendered", "shared", "executed"), 0))


class Frames:
    """The outcomes of a replica's latest events."""

    def __init__(self, max_response_bytes: int) -> None:
        self._max_response_bytes = max_response_bytes
        self._kept: OrderedDict[Hashable, Outcome] = OrderedDict()
        self._bytes = 0
        self._thing: object = None
        """What was handed out last."""
        self._made: list[tuple[Plan, Principal, bytes]] = []
        """What was told of it: by which plan, and to whom."""

    def planned(self, execution: Execution, event: Any, told: Mapping[str, Any] | None) -> Outcome | None:
        """Return what the plan makes of an event, None if that is nothing. `told` are the outcome's extensions."""
        plan, context = execution.plan, execution.context_value
        if plan.root is None:
            return None
        if told or not hasattr(type(event), "told_to_all"):
            return self._rendered(execution, event, told)
        key = (plan.number, context.principal, event.told_to_all)
        outcome = self._kept.get(key)
        if outcome is not None:
            frames_by["shared"] += 1
            return outcome
        outcome = self._rendered(execution, event, None)
        if outcome is not None and len(outcome.encode()) <= MAX_FRAME_BYTES:
            self._keep(key, outcome)
        return outcome

    def payload(
        self, execution: Execution, thing: Any, show: Callable[[Any], Any], told: Mapping[str, Any] | None
    ) -> bytes | None:
        """Return the JSON of what `planned` makes of the event that a thing is shown as.

        For whoever is handed the same thing as the one before, and asks the same, nothing is looked at again. Most
        things are handed to one follower only, so nothing else is kept of them.
        """
        plan, principal = execution.plan, execution.context_value.principal
        if thing is not self._thing:
            self._thing, self._made = thing, []
        for made_by, made_for, payload in self._made:
            if made_by is plan and (made_for is principal or made_for == principal) and not told:
                frames_by["shared"] += 1
                return payload
        if len(self._made) >= MAX_MADE:
            outcome = self.planned(execution, show(thing), told)
            return None if outcome is None else outcome.encode()
        made = self._written(execution, show(thing), told)
        if made is not None and not told:
            self._made.append((plan, principal, made))
        return made

    def _written(self, execution: Execution, event: Any, told: Mapping[str, Any] | None) -> bytes | None:
        data = _data(execution, event)
        if data is None:
            return None
        if not (told or execution.plan.repeats or execution.context_value.is_large):
            written = orjson.dumps({"data": data})
            if len(written) <= self._max_response_bytes:
                return written
        return self._outcome(execution, data, told).encode()

    def _rendered(self, execution: Execution, event: Any, told: Mapping[str, Any] | None) -> Outcome | None:
        data = _data(execution, event)
        return None if data is None else self._outcome(execution, data, told)

    def _outcome(self, execution: Execution, data: dict[str, Any], told: Mapping[str, Any] | None) -> Outcome:
        result, repeats = ExecutionResult(data), execution.plan.repeats
        return outcome_of(result, execution.context_value, told, self._max_response_bytes, repeats=repeats)

    async def executed(self, executor: PlannedExecutor, event: Any, told: Mapping[str, Any] | None) -> Outcome:
        """Return what graphql-core makes of an event."""
        frames_by["executed"] += 1
        executor.context_value.large_bytes = 0
        result = execute_subscription_event(executor.build_per_event_executor(event))
        result = await result if isawaitable(result) else result
        return outcome_of(result, executor.context_value, told, self._max_response_bytes)

    def _keep(self, key: Hashable, outcome: Outcome) -> None:
        self._kept[key] = outcome
        self._bytes += len(outcome.encode())
        while len(self._kept) > 1 and (len(self._kept) > MAX_FRAMES or self._bytes > MAX_FRAMES_BYTES):
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= len(oldest.encode())


def _data(execution: Execution, event: Any) -> dict[str, Any] | None:
    """Return what the plan renders of an event, and count that; None if the plan gives it up."""
    data = execution.render_event(event)
    if data is not None:
        frames_by["rendered"] += 1
    return data
