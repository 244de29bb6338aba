"""One operation of one socket, from its document to its last frame.

It runs in a task of its own. A subscription whose client has been told all there is waits without one: it is told of an
event where that is heard, as long as its client reads. Sends are awaited otherwise: while a client does not read, its
operations are not advanced, so it costs no more than it does now.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import structlog
from graphql import OperationType
from starlette.websockets import WebSocketDisconnect, WebSocketDisconnected

from core.events import Cursor
from core.telemetry import get_logger
from gateway.context import OperationContext
from gateway.errors import INTERNAL_ERROR
from gateway.operations import Operations, Refused
from gateway.outcomes import Outcome
from gateway.subscription import Subscription
from gateway.transports.frames import complete_frame, envelope, error_frame, next_frame
from gateway.transports.request import GraphQLRequest

log = get_logger(__name__)
Work = Callable[[], Coroutine[None, None, bool]]


class Carrier(Protocol):
    """The socket that operations run on."""

    tasks: asyncio.TaskGroup

    def is_running(self, running: "Running") -> bool:
        """Whether the operation has neither ended nor been stopped."""

    def forget(self, running: "Running") -> None:
        """Free the id of an operation that is over; one that is forgotten already stays so."""

    push: Callable[[bytes], bool]
    """Sends a frame at once; returns False, and sends nothing, where that has to wait."""

    async def send(self, frame: str) -> None:
        """Send a frame as soon as the client reads. Raises WebSocketDisconnect and WebSocketDisconnected."""


class Running:
    """One operation."""

    __slots__ = (
        "_carrier",
        "_envelope",
        "_push_frame",
        "_subscription",
        "correlation_id",
        "cursor",
        "id",
        "is_subscription",
        "task",
    )

    def __init__(self, carrier: Carrier, ident: str, correlation_id: str) -> None:
        self.id = ident
        self.correlation_id = correlation_id
        self.task: asyncio.Task[None] | None = None
        """What it runs in, None while it only waits to be called."""
        self.is_subscription = False
        self.cursor: Cursor | None = None
        """The id of the last event that was sent."""
        self._carrier = carrier
        self._push_frame = carrier.push
        self._envelope = envelope(ident)
        self._subscription: Subscription | None = None

    def start(self, operations: Operations, request: GraphQLRequest, context: OperationContext) -> None:
        """Run the operation."""
        self._work(lambda: self._operate(operations, request, context))

    def stop(self) -> None:
        """End the operation; nothing is sent for it from here on."""
        self._carrier.forget(self)
        if self.task is not None:
            self.task.cancel()
        if self._subscription is not None:
            self._subscription.close()

    def _work(self, work: Work) -> None:
        """Have a task do it. Raises RuntimeError when the socket is breaking, and takes none."""
        running = self._run(work)
        try:
            self.task = self._carrier.tasks.create_task(running, name=f"operation {self.correlation_id}")
        except RuntimeError:
            running.close()
            raise

    async def _run(self, work: Work) -> None:
        """Do what is to be done in a task; the operation is over with it unless that says that it goes on."""
        structlog.contextvars.bind_contextvars(correlation_id=self.correlation_id)
        goes_on = False
        try:
            goes_on = await work()
        except Refused as refused:
            await self._end(error_frame(self.id, refused.errors))
        except (WebSocketDisconnect, WebSocketDisconnected):
            return
        except Exception:  # The supervisor of an operation: a bug in one must not end the others on this socket.
            log.exception("An operation broke")
            await self._end(error_frame(self.id, [INTERNAL_ERROR]))
        finally:
            if not goes_on:
                self._carrier.forget(self)

    async def _operate(self, operations: Operations, request: GraphQLRequest, context: OperationContext) -> bool:
        prepared = await operations.admit(request, context)
        if prepared.type is OperationType.SUBSCRIPTION:
            self.is_subscription = True
            self._subscription = await operations.subscribe(prepared, request.variables, request.extensions, context)
            return await self._tell(self._subscription)
        await self._deliver(await operations.run(prepared, request.variables, request.extensions, context))
        await self._end(complete_frame(self.id))
        return False

    async def _tell(self, subscription: Subscription) -> bool:
        """Tell one event after the other; return whether it goes on by being called."""
        goes_on = False
        try:
            while (outcome := await subscription.next()) is not None:
                if not outcome.began:
                    await self._end(error_frame(self.id, outcome.errors))
                    return False
                await self._deliver(outcome)
                self.cursor = subscription.cursor
                if not self._carrier.is_running(self):
                    return False  # It was stopped, but a driver swallowed the cancellation.
                if subscription.is_up_to_date:
                    subscription.listen(self._push)
                    self.task, goes_on = None, True
                    return True
            await self._end(complete_frame(self.id))
            return False
        finally:
            if not goes_on:
                await subscription.aclose()

    def _push(self, thing: Any) -> bool:
        """Tell what has come, if nothing has to be waited for; otherwise go on in a task, which asks for it."""
        subscription = self._subscription
        assert subscription is not None
        try:
            payload = None if thing is None else subscription.payload(thing)
            if payload is not None and self._push_frame(next_frame(self._envelope, payload)):
                self.cursor = thing.cursor
                return True
        except Exception as exc:  # noqa: BLE001  # Whoever called has others to call; the task tells and logs it.
            subscription.fail(exc)
        try:
            subscription.resume(self.cursor)
            self._work(lambda: self._tell(subscription))
        except RuntimeError:
            self.stop()
        return False

    async def _deliver(self, outcome: Outcome) -> None:
        if self._carrier.is_running(self):
            frame = next_frame(self._envelope, outcome.encode())
            if not self._carrier.push(frame):
                await self._carrier.send(frame.decode())

    async def _end(self, frame: str) -> None:
        """Free the id, then send the operation's last frame: the client may use the id again once it has read it."""
        if self._carrier.is_running(self):
            self._carrier.forget(self)
            try:
                await self._carrier.send(frame)
            except (WebSocketDisconnect, WebSocketDisconnected):
                return
            except Exception:  # The same supervisor: it is called where that has caught something already.
                log.exception("An operation's end was not sent")
