"""A subscription that runs: the outcome of one event after the other, asked for or, where all is at hand, taken."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from inspect import isawaitable
from typing import Any

from graphql import ExecutionResult, GraphQLError, create_source_event_stream

from core.documents import Task
from core.events import Cursor
from gateway.context import OperationContext
from gateway.frames import Frames
from gateway.identity.meter import Meter
from gateway.outcomes import Outcome, masked
from gateway.plans.executor import PlannedExecutor
from gateway.relay.following import Following


class Subscription:
    """It holds its source open until it is closed. `ended` is told once how it came out: ok, errors or cancelled.

    `joined` is told once which task it follows, if it follows one.
    """

    __slots__ = (
        "_context",
        "_ended",
        "_executor",
        "_failure",
        "_following",
        "_frames",
        "_given_up",
        "_is_over",
        "_joined",
        "_meter",
        "_source",
        "_told",
    )

    def __init__(
        self,
        frames: Frames,
        executor: PlannedExecutor,
        meter: Meter,
        told: Mapping[str, Any] | None,
        ended: Callable[[str], None],
        joined: Callable[[Task], None] | None = None,
    ) -> None:
        self._frames = frames
        self._executor = executor
        self._context: OperationContext = executor.context_value
        self._meter = meter
        self._told = told
        self._ended = ended
        self._joined = joined
        self._source: AsyncIterator[Any] | None = None
        self._following: Following[Any] | None = None
        """Its source, if what that hands out is rendered by a plan, which waits for nothing."""
        self._given_up: Any = None
        """An event that was taken, and that the plan could not render."""
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
            if self._source is None and (errors := await self._open()):
                return self._ended_by(*errors)
            return await self._outcome(await self._event())
        except StopAsyncIteration:
            self._end("ok")
            return None
        except Exception as exc:  # noqa: BLE001  # Whatever a source raises is masked and logged like a resolver's error.
            return self._ended_by(exc if isinstance(exc, GraphQLError) else GraphQLError(str(exc), original_error=exc))

    async def _open(self) -> Sequence[GraphQLError]:
        """Have the resolver make the source; return what is wrong if it can't."""
        source = create_source_event_stream(self._executor)
        source = await source if isawaitable(source) else source
        if isinstance(source, ExecutionResult):
            return source.errors or ()
        self._source = aiter(source)
        if isinstance(source, Following):
            source.joined = self._joined
            if self._executor.plan.root is not None:
                self._following = source
        return ()

    async def _event(self) -> Any:
        """Wait for the next event and have it paid. Raises StopAsyncIteration, and whatever the source does."""
        if self._failure is not None:
            raise self._failure
        event, self._given_up = self._given_up, None
        if event is not None:
            return event
        assert self._source is not None
        sent = self._context.position.cursor
        event = await anext(self._source)
        if self._meter.is_due:
            await self._meter.pay(sent)
        return event

    async def _outcome(self, event: Any) -> Outcome:
        outcome = self._frames.planned(self._executor, event, self._told)
        if outcome is None:
            outcome = await self._frames.executed(self._executor, event, self._told)
        self._context.large.reset()
        return outcome

    def take(self) -> Outcome | None:
        """Return the outcome of the next event if it is at hand, paid for, and can be made at once."""
        if self._following is None or self._meter.is_due:
            return None
        try:
            event = self._following.take()
        except Exception as exc:  # noqa: BLE001  # `next` tells it.
            self.fail(exc)
            return None
        if event is None:
            return None
        outcome = self._frames.planned(self._executor, event, self._told)
        if outcome is None:
            self._given_up = event
        self._context.large.reset()
        return outcome

    @property
    def is_up_to_date(self) -> bool:
        """Whether nothing is to be told before a listener is called."""
        has_news = self._given_up is not None or self._failure is not None
        return self._following is not None and not has_news and self._following.is_up_to_date

    @property
    def cursor(self) -> Cursor | None:
        """The id of the event whose outcome was made last."""
        return self._context.position.cursor

    def listen(self, listener: Callable[[], None] | None) -> None:
        """Have a function, which must not raise, called as there may be more, until the next is asked for."""
        if self._following is not None:
            self._following.listen(listener)

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
