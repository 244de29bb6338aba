"""GraphQL over WebSocket: does what the protocol's state machine says, and owns one task per running operation.

Sends are awaited: while a client does not read, its operations are not advanced, so it costs no more than it does now.
"""

import asyncio
from collections.abc import Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any

import structlog
from graphql import OperationType
from starlette.types import Message
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketDisconnected

from core.cancellation import cancel_until_done
from core.errors import Unauthenticated, Unavailable
from core.telemetry import get_logger
from gateway.errors import INTERNAL_ERROR
from gateway.guard.turns import LARGE_CHARS
from gateway.identity.authentication import no_longer_valid
from gateway.identity.principals import LOCAL
from gateway.metrics import REFUSED, SOCKET_CLOSES
from gateway.operations import Operations, Refused
from gateway.outcomes import Outcome
from gateway.replica import Replica
from gateway.transports import protocol
from gateway.transports.frames import (
    ACK,
    SUBPROTOCOL,
    CloseCode,
    complete_frame,
    envelope,
    error_frame,
    next_frame,
)
from gateway.transports.hosts import is_origin_allowed
from gateway.transports.limits import EdgeLimits
from gateway.transports.protocol import Phase, Protocol, Violation
from gateway.transports.refusal import ended_error
from gateway.transports.request import GraphQLRequest

log = get_logger(__name__)

CLOSE_TIMEOUT_S = 5.0
"""How long a close frame may wait for a peer that does not read."""


class Late(Exception):
    """The client did not initialise its socket in time."""


class Idle(Exception):
    """No operation has run on the socket for long."""


@dataclass(eq=False)
class Running:
    """One operation of one socket."""

    id: str
    request: GraphQLRequest
    correlation_id: str
    task: asyncio.Task[None] | None = None
    cursor: str | None = None
    """The last one that was sent."""
    is_subscription: bool = False

    def __post_init__(self) -> None:
        self.envelope = envelope(self.id)


class Socket:
    """One connection, from its handshake to its end."""

    def __init__(self, websocket: WebSocket, replica: Replica, operations: Operations, limits: EdgeLimits) -> None:
        self._websocket = websocket
        self._replica = replica
        self._operations = operations
        self._limits = limits
        self._protocol = Protocol(limits)
        self._correlation_id: str = websocket.scope["correlation_id"]
        self._started = 0
        self._opened_at = self._idle_since = asyncio.get_running_loop().time()
        self._leaving = False
        self._closed = False
        self._principal = LOCAL
        self._expiry: asyncio.Task[None] | None = None
        self.running: dict[str, Running] = {}

    async def serve(self) -> None:
        """Talk until either side closes; return when no operation is left."""
        offered = self._websocket.scope["subprotocols"]
        await self._websocket.accept(SUBPROTOCOL if SUBPROTOCOL in offered else None)
        if SUBPROTOCOL not in offered:
            await self._close(CloseCode.SUBPROTOCOL_NOT_ACCEPTABLE, "Subprotocol not acceptable")
        elif not self._is_origin_allowed():
            await self._close(CloseCode.FORBIDDEN, "Forbidden")
        else:
            async with asyncio.TaskGroup() as tasks:
                try:
                    await self._talk(tasks)
                finally:
                    self._closed = True
                    owned = (self._expiry, *(running.task for running in self.running.values()))
                    left = [task for task in owned if task is not None]
                    for running in list(self.running.values()):
                        self._stop(running)
                await cancel_until_done(left)

    def _is_origin_allowed(self) -> bool:
        """Whether a page of this origin may open a socket: browsers send no preflight for one, so nobody else asks."""
        headers = self._websocket.headers
        origin = headers.get("origin")
        return origin is None or is_origin_allowed(origin, headers.get("host", ""), self._limits.allowed_origins)

    async def _talk(self, tasks: asyncio.TaskGroup) -> None:
        try:
            while (message := await self._receive())["type"] != "websocket.disconnect":
                await self._act(await self._read(message.get("text")), tasks)
        except Late:
            REFUSED.labels("init_timeout").inc()
            await self._close(CloseCode.INIT_TIMEOUT, "Connection initialisation timeout")
        except Idle:
            REFUSED.labels("idle_timeout").inc()
            await self._close(CloseCode.NORMAL, "Idle")
        except Violation as violation:
            await self._close(violation.code, violation.reason)
        except (WebSocketDisconnect, WebSocketDisconnected):
            return
        except Exception:  # The supervisor of a socket: a bug must not look like a broken network to the client.
            log.exception("A socket broke")
            await self._close(CloseCode.INTERNAL_ERROR, "Internal error")

    async def _read(self, text: str | None) -> protocol.Action:
        """Return what a frame asks for; None is a binary one. A large one waits for its turn. Raises Violation."""
        if text is None:
            return self._protocol.receive_bytes()
        if len(text) <= LARGE_CHARS:
            return self._protocol.receive_text(text)
        async with self._operations.turns.take():
            return self._protocol.receive_text(text)

    async def _receive(self) -> Message:
        """Return what comes next. Raises Late without an initialisation in time, and Idle when nothing ran for long."""
        loop = asyncio.get_running_loop()
        while True:
            is_opened = self._protocol.phase is Phase.OPENED
            if is_opened:
                deadline = self._opened_at + self._limits.init_timeout_s
            else:
                deadline = (loop.time() if self.running else self._idle_since) + self._limits.idle_timeout_s
            try:
                async with asyncio.timeout_at(deadline):
                    return await self._websocket.receive()
            except TimeoutError:
                if is_opened:
                    raise Late from None
                if not self.running and loop.time() >= self._idle_since + self._limits.idle_timeout_s:
                    raise Idle from None

    async def _act(self, action: protocol.Action, tasks: asyncio.TaskGroup) -> None:
        match action:
            case protocol.Send(frame):
                await self._send(frame)
            case protocol.Init(payload):
                await self._identify(payload or {})
                if not self._principal.is_lasting:
                    self._expiry = tasks.create_task(self._expire(), name=f"expiry {self._correlation_id}")
                await self._send(ACK)
            case protocol.Stop(ident):
                self._stop(self.running[ident])
            case protocol.Start(ident, request) if not self._leaving:
                self._started += 1
                running = Running(ident, request, f"{self._correlation_id}.{self._started}")
                self.running[ident] = running
                running.task = tasks.create_task(self._run(running), name=f"operation {running.correlation_id}")
                await asyncio.sleep(0)  # A flood of operations takes turns with everyone else.

    async def _identify(self, payload: Mapping[str, Any]) -> None:
        """Find out who this is, by the payload or else by the handshake's header. Raises Violation."""
        header = self._websocket.headers.get("authorization")
        presented = payload.get("Authorization", payload.get("authorization", header))
        try:
            self._principal = await self._replica.authenticator.authenticate(presented)
        except Unauthenticated as exc:
            raise Violation(CloseCode.FORBIDDEN, f"Forbidden: {exc}") from exc
        except Unavailable as exc:
            raise Violation(CloseCode.TRY_AGAIN_LATER, str(exc)) from exc

    async def _expire(self) -> None:
        """Wait for the end of the credential, then end everything; clients may come again with a new one after 4403."""
        await self._replica.authenticator.until_invalid(self._principal)
        ended = no_longer_valid()
        with suppress(WebSocketDisconnect, WebSocketDisconnected, TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                for running in list(self.running.values()):
                    if running.is_subscription:
                        self._stop(running)
                        await self._send(error_frame(running.id, [ended_error(ended, running.cursor)]))
        await self._finish(self._limits.shutdown_s)
        await self._close(CloseCode.FORBIDDEN, f"Forbidden: {ended}")

    def _stop(self, running: Running) -> None:
        """Cancel an operation; nothing is sent for it from here on."""
        self._forget(running)
        if running.task is not None:
            running.task.cancel()

    def _forget(self, running: Running) -> None:
        if self.running.get(running.id) is running:
            del self.running[running.id]
            self._idle_since = asyncio.get_running_loop().time()
            self._protocol.end(running.id)

    async def _run(self, running: Running) -> None:
        """Own one operation from its document to its last frame."""
        structlog.contextvars.bind_contextvars(correlation_id=running.correlation_id)
        try:
            await self._operate(running)
        except Refused as refused:
            await self._end(running, error_frame(running.id, refused.errors))
        except (WebSocketDisconnect, WebSocketDisconnected):
            return
        except Exception:  # The supervisor of an operation: a bug in one must not end the others on this socket.
            log.exception("An operation broke")
            await self._end(running, error_frame(running.id, [INTERNAL_ERROR]))
        finally:
            self._forget(running)

    async def _operate(self, running: Running) -> None:
        request = running.request
        context = self._replica.new_context(running.correlation_id, self._principal)
        prepared = await self._operations.admit(request, context)
        if prepared.type is not OperationType.SUBSCRIPTION:
            outcome = await self._operations.run(prepared, request.variables, request.extensions, context)
            await self._deliver(running, outcome)
            await self._end(running, complete_frame(running.id))
            return
        running.is_subscription = True
        stream = self._operations.stream(prepared, request.variables, request.extensions, context)
        async with aclosing(stream) as outcomes:
            async for outcome in outcomes:
                if not outcome.began:
                    await self._end(running, error_frame(running.id, outcome.errors))
                    return
                await self._deliver(running, outcome)
                running.cursor = context.position.cursor
                if self.running.get(running.id) is not running:
                    return  # It was stopped, but a driver swallowed the cancellation.
        await self._end(running, complete_frame(running.id))

    async def _deliver(self, running: Running, outcome: Outcome) -> None:
        if self.running.get(running.id) is running:
            await self._send(next_frame(running.envelope, outcome.text))

    async def _end(self, running: Running, frame: str) -> None:
        """Free the id, then send the operation's last frame: the client may use the id again once it has read it."""
        if self.running.get(running.id) is running:
            self._forget(running)
            with suppress(WebSocketDisconnect, WebSocketDisconnected):
                await self._send(frame)

    async def _send(self, frame: str) -> None:
        if not self._closed:
            await self._websocket.send({"type": "websocket.send", "text": frame})

    async def _close(self, code: CloseCode, reason: str) -> None:
        if self._closed:
            return
        self._closed = True
        SOCKET_CLOSES.labels(code.value).inc()
        with suppress(WebSocketDisconnect, WebSocketDisconnected, TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._websocket.close(code, reason)

    async def leave(self, within_s: float) -> None:
        """Let queries and mutations end, start nothing more, then close: with 1012 where something was cut short.

        A subscription just stops. It gets no `complete`, which would say that there is nothing more to come.
        """
        subscriptions = [running for running in self.running.values() if running.is_subscription]
        for running in subscriptions:
            self._stop(running)
        await self._finish(within_s)
        if subscriptions or self.running:
            await self._close(CloseCode.SERVICE_RESTART, "Service restart")
        else:
            await self._close(CloseCode.GOING_AWAY, "Going away")

    async def _finish(self, within_s: float) -> None:
        """Start nothing more, and let what runs end."""
        self._leaving = True
        tasks = [running.task for running in self.running.values() if running.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=within_s)
