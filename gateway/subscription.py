"""A subscription that runs: the outcome of one event after the other, asked for or, where all is at hand, taken."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from inspect import isawaitable
from time import monotonic
from typing import Any

from graphql import ExecutionResult, GraphQLError, create_source_event_stream

from core.documents import Task
from core.events import Cursor
from gateway.context import OperationContext
from gateway.frames import Frames
from gateway.identity.meter import Meter
from gateway.outcomes import Outcome, masked
from gateway.plans.execution import Execution
from gateway.plans.executor import PlannedExecutor
from gateway.plans.plan import NEW, Plan
from gateway.relay.following import Following


class Subscription:
    """It holds its source open until it is closed. `ended` is told once how it came out: ok, errors or cancelled.

    `joined` is told once which task it follows, if it follows one. `plan`, where it is given, finds the plan by which
    events after the first are told: an operation that is seen for the first time has none yet, but a long life.
    """

    __slots__ = (
        "_context",
        "_ended",
        "_execution",
        "_executor",
        "_failure",
        "_following",
        "_frames",
        "_is_over",
        "_joined",
        "_meter",
        "_plan",
        "_source",
        "_told",
    )

    def __init__(
        self,
        frames: Frames,
        execution: Execution,
        meter: Meter,
        told: Mapping[str, Any] | None,
        ended: Callable[[str], None],
        joined: Callable[[Task], None] | None = None,
        plan: Callable[[], Plan] | None = None,
    ) -> None:
        self._frames = frames
        self._execution = execution
        self._context: OperationContext = execution.context_value
        self._meter = meter
        self._told = told
        self._ended = ended
        self._executor: PlannedExecutor | None = None
        """Kept where events are told by it; a plan seldom needs one."""
        self._joined = joined
        self._plan = plan
        self._source: AsyncIterator[Any] | None = None
        self._following: Following[Any] | None = None
        """Its source, if what that hands out is rendered by a plan, which waits for nothing."""
        self._failure: Exception | None = None
        self._is_over = False

    async def next(self) -> Outcome | None:
        """Wait for the outcome of the next event, None after the end.

        It is one that has not begun, and the last, when the source fails, or when whoever asks can't pay for another
        minute of it.
        """
        if self._is_over:
            return None
        try:
            is_first = self._source is None
            if is_first and (errors := await self._open()):
                return self._ended_by(*errors)
            event = await self._event()
            if not is_first:
                self._look_for_plan()
            return await self._outcome(event)
        except StopAsyncIteration:
            self._end("ok")
            return None
        except Exception as exc:  # noqa: BLE001  # Whatever a source raises is masked and logged like a resolver's error.
            return self._ended_by(exc if isinstance(exc, GraphQLError) else GraphQLError(str(exc), original_error=exc))

    async def _open(self) -> Sequence[GraphQLError]:
        """Have the resolver make the source; return what is wrong if it can't."""
        executor = self._execution.executor()
        source = create_source_event_stream(executor)
        source = await source if isawaitable(source) else source
        if isinstance(source, ExecutionResult):
            return source.errors or ()
        self._source = aiter(source)
        if isinstance(source, Following):
            source.joined = self._joined
        self._keep(executor)
        return ()

    def _keep(self, executor: PlannedExecutor) -> None:
        """Keep what events are told by: the source itself, where the plan renders whatever it hands out."""
        if self._execution.plan.root is not None and isinstance(self._source, Following):
            self._following, self._executor = self._source, None
        else:
            self._executor = executor

    def _look_for_plan(self) -> None:
        """Go on by the plan, if there is one by now."""
        if self._plan is not None and (plan := self._plan()).served != NEW:
            self._execution.plan, self._plan = plan, None
            self._keep(self._execution.executor())

    async def _event(self) -> Any:
        """Wait for the next event and have it paid. Raises StopAsyncIteration, and whatever the source does."""
        if self._failure is not None:
            raise self._failure
        assert self._source is not None
        sent = self._context.cursor
        event = await anext(self._source)
        if self._meter.is_due:
            await self._meter.pay(sent)
        return event

    async def _outcome(self, event: Any) -> Outcome:
        outcome = self._frames.planned(self._execution, event, self._told)
        if outcome is None:
            executor = self._executor or self._execution.executor()
            outcome = await self._frames.executed(executor, event, self._told)
        return outcome

    def payload(self, thing: Any) -> bytes | None:
        """Return the JSON of what a listener was called with; None if that takes more than to render it."""
        assert self._following is not None
        if monotonic() >= self._meter.paid_until:
            return None
        return self._frames.payload(self._execution, thing, self._following.show, self._told)

    @property
    def is_up_to_date(self) -> bool:
        """Whether nothing is to be told before a listener is called."""
        return self._following is not None and self._following.is_up_to_date

    @property
    def cursor(self) -> Cursor | None:
        """The id of the event whose outcome was returned last."""
        return self._context.cursor

    def listen(self, listener: Callable[[Any], bool]) -> None:
        """Have a function called as `Following` says, until `resume`. It must not raise."""
        assert self._following is not None
        self._following.listen(listener)

    def resume(self, cursor: Cursor | None) -> None:
        """Go on by being asked; `cursor` is the last one that was told."""
        assert self._following is not None
        self._following.listen(None)
        self._context.cursor = cursor

    def fail(self, failure: Exception) -> None:
        """Have `next` tell this, and end."""
        self._failure = failure

    def _ended_by(self, *errors: GraphQLError) -> Outcome:
        self._end("errors")
        return Outcome(None, masked(errors, self._context), began=False)

    def _end(self, outcome: str) -> None:
        if not self._is_over:
            self._is_over = True
            self._ended(outcome)

    def close(self) -> None:
        """End it, and leave what it follows; a source that is a generator has to be waited for by `aclose`."""
        self._end("cancelled")
        if self._following is not None:
            self._following.close()

    async def aclose(self) -> None:
        """End it, and close its source."""
        self.close()
        close = getattr(self._source, "aclose", None)
        if close is not None:
            await close()
