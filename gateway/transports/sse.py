"""graphql-sse: https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md

An event stream is one HTTP response. In the distinct mode it carries one operation and ends with it. In the single
connection mode a client reserves it first, and other requests with its token start and stop operations on it.

Sends are awaited: while a client does not read, its operations are not advanced, so no queue grows.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass

import orjson
from graphql import OperationType
from starlette.types import Receive, Send

from core.cancellation import cancel_until_done
from core.errors import Unauthenticated
from core.events import Cursor
from core.telemetry import get_logger
from gateway.context import OperationContext
from gateway.errors import INTERNAL_ERROR
from gateway.metrics import REFUSED
from gateway.operations import Refused
from gateway.outcomes import Outcome
from gateway.transports.limits import EdgeLimits
from gateway.transports.negotiation import EVENT_STREAM
from gateway.transports.refusal import Refusal, ended_error

log = get_logger(__name__)

KEEP_ALIVE = b":\n\n"
"""A comment; the first one makes proxies and browsers pass the headers on."""
HEADERS = (
    (b"content-type", f"{EVENT_STREAM}; charset=utf-8".encode()),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
    (b"vary", b"accept"),
)


@dataclass(eq=False)
class Running:
    """One operation of one stream; `id` is None in the distinct mode."""

    id: str | None
    type: OperationType | None
    context: OperationContext
    cursor: Cursor | None = None
    """The last one that was sent."""
    task: asyncio.Task[None] | None = None


class EventStream:
    """One response, from its reservation or request to its end, and the operations that it carries."""

    status_code = 200

    def __init__(self, owner: str, limits: EdgeLimits, token: str | None = None) -> None:
        self.owner = owner
        self.token = token
        self.opened = asyncio.Event()
        self.running: dict[str | None, Running] = {}
        self._limits = limits
        self._over = asyncio.Event()
        self._idle_since = 0.0
        self._sending = asyncio.Lock()
        self._send: Send | None = None

    def start(
        self,
        ident: str | None,
        kind: OperationType | None,
        outcomes: AsyncGenerator[Outcome, None],
        context: OperationContext,
        valid: AbstractAsyncContextManager[None],
    ) -> None:
        """Run an operation while its caller's credential is `valid`, which raises Unauthenticated then.

        With an id it is one of many; without one, the stream ends with it. Raises Refusal.
        """
        if ident in self.running:
            raise Refusal(409, "CONFLICT", "operationId: expected one that no running operation has")
        if len(self.running) >= self._limits.operations_per_connection:
            limit = self._limits.operations_per_connection
            raise Refusal(429, "RATE_LIMITED", f"Expected at most {limit} operations at a time on one stream")
        running = self.running[ident] = Running(ident, kind, context)
        running.task = asyncio.create_task(
            self._run(running, outcomes, valid), name=f"operation {context.correlation_id}"
        )

    async def stop(self, ident: str) -> None:
        """Cancel an operation and wait until it has gone; nothing more is sent for it, and an unknown id is none."""
        if running := self.running.pop(ident, None):
            self._idle_since = asyncio.get_running_loop().time()
            await cancel_until_done([running.task] if running.task else [])

    async def serve(self, receive: Receive, send: Send) -> None:
        """Send events until the client leaves, the only operation is over, or the replica stops."""
        self._send = send
        await send({"type": "http.response.start", "status": self.status_code, "headers": HEADERS})
        await send({"type": "http.response.body", "body": KEEP_ALIVE, "more_body": True})
        self.opened.set()
        self._idle_since = asyncio.get_running_loop().time()
        tending = [
            asyncio.create_task(self._keep_alive(), name="event stream's keep-alive"),
            asyncio.create_task(self._await_disconnect(receive), name="event stream's reader"),
            asyncio.create_task(self._await_idleness(), name="event stream's idle timer"),
        ]
        try:
            await self._over.wait()
        finally:
            await cancel_until_done(tending)
            await self.close()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def close(self) -> None:
        """End all operations, and the response."""
        self._over.set()
        tasks = [running.task for running in self.running.values() if running.task is not None]
        self.running.clear()
        await cancel_until_done(tasks)

    async def leave(self, within_s: float) -> None:
        """Let queries and mutations end, then end the response.

        A subscription gets no `complete`, which would say that there is nothing more to come: clients come back.
        """
        subscriptions = [one for one in self.running.values() if one.type is OperationType.SUBSCRIPTION]
        for running in subscriptions:
            del self.running[running.id]
        await cancel_until_done([running.task for running in subscriptions if running.task is not None])
        tasks = [running.task for running in self.running.values() if running.task is not None]
        if tasks and self.opened.is_set():
            await asyncio.wait(tasks, timeout=within_s)
        self._over.set()

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(self._limits.stream_keep_alive_s)
            await self._write(KEEP_ALIVE)

    async def _await_idleness(self) -> None:
        """End the response when no operation has run for long, as sockets are ended."""
        now = asyncio.get_running_loop().time
        while True:
            left_s = self._limits.idle_timeout_s - (0.0 if self.running else now() - self._idle_since)
            if left_s <= 0:
                break
            await asyncio.sleep(left_s)
        REFUSED.labels("idle_timeout").inc()
        self._over.set()

    async def _await_disconnect(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._over.set()

    async def _run(
        self, running: Running, outcomes: AsyncGenerator[Outcome, None], valid: AbstractAsyncContextManager[None]
    ) -> None:
        """Own one operation to its last event."""
        try:
            async with valid:
                await self._tell(running, outcomes)
        except Unauthenticated as exc:
            await self._write(_next_event(running.id, Outcome(None, (ended_error(exc, running.cursor),), began=False)))
        except Refused as refused:
            await self._write(_next_event(running.id, refused.outcome))
        except Exception:  # The supervisor of an operation: a bug in one must not end the others on this stream.
            log.exception("An operation broke")
            await self._write(_next_event(running.id, Outcome(None, (INTERNAL_ERROR,), began=False)))
        if self.running.get(running.id) is running:
            del self.running[running.id]
            self._idle_since = asyncio.get_running_loop().time()
            await self._write(_complete_event(running.id))
            if running.id is None:
                self._over.set()

    async def _tell(self, running: Running, outcomes: AsyncGenerator[Outcome, None]) -> None:
        async with aclosing(outcomes):
            async for outcome in outcomes:
                if self.running.get(running.id) is not running:
                    return  # It was stopped, but a driver swallowed the cancellation.
                await self._write(_next_event(running.id, outcome))
                running.cursor = running.context.cursor

    async def _write(self, event: bytes) -> None:
        """Send an event once the stream is open and those before it have gone out."""
        await self.opened.wait()
        assert self._send is not None
        async with self._sending:
            if not self._over.is_set():
                await self._send({"type": "http.response.body", "body": event, "more_body": True})


async def only(outcome: Outcome) -> AsyncGenerator[Outcome, None]:
    """Yield one outcome, as the stream of an operation that never begins."""
    yield outcome


def _next_event(ident: str | None, outcome: Outcome) -> bytes:
    """Return the event of one result. JSON has no bare newline, so it is one line of data."""
    if ident is None:
        return b"event: next\ndata: " + outcome.encode() + b"\n\n"
    return b'event: next\ndata: {"id":' + orjson.dumps(ident) + b',"payload":' + outcome.encode() + b"}\n\n"


def _complete_event(ident: str | None) -> bytes:
    if ident is None:
        return b"event: complete\ndata:\n\n"
    return b'event: complete\ndata: {"id":' + orjson.dumps(ident) + b"}\n\n"
