"""GraphQL over WebSocket: does what the protocol's state machine says, and owns the operations that run."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from starlette.types import Message
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketDisconnected

from core.cancellation import cancel_until_done
from core.errors import Unauthenticated, Unavailable
from core.events import Cursor
from core.telemetry import get_logger
from gateway.guard.turns import LARGE_CHARS
from gateway.identity.authentication import no_longer_valid
from gateway.identity.principals import LOCAL
from gateway.metrics import REFUSED, SOCKET_CLOSES
from gateway.operations import Operations
from gateway.replica import Replica
from gateway.transports import protocol
from gateway.transports.frames import (
    ACK,
    SUBPROTOCOL,
    CloseCode,
    error_frame,
)
from gateway.transports.hosts import is_origin_allowed
from gateway.transports.limits import EdgeLimits
from gateway.transports.protocol import Phase, Protocol, Violation
from gateway.transports.refusal import ended_error
from gateway.transports.running import Running
from gateway.transports.websocket_connection import PUSH

log = get_logger(__name__)

CLOSE_TIMEOUT_S = 5.0
"""How long a close frame may wait for a peer that does not read."""


class Socket:
    """One connection, from its handshake to its end."""

    def __init__(self, websocket: WebSocket, replica: Replica, operations: Operations, limits: EdgeLimits) -> None:
        self._websocket = websocket
        self._replica = replica
        self._operations = operations
        self._limits = limits
        self._protocol = Protocol(limits)
        self.tasks = asyncio.TaskGroup()
        self.push: Callable[[bytes], bool] = websocket.scope["extensions"].get(PUSH, {}).get("text", _wait)
        self._correlation_id: str = websocket.scope["correlation_id"]
        self._started = 0
        self._opened_at = self._idle_since = asyncio.get_running_loop().time()
        self._patience = asyncio.timeout(None)
        self._is_waiting = False
        """Whether the next message is waited for."""
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
            async with self.tasks:
                try:
                    await self._talk()
                finally:
                    self._closed = True
                    owned = (self._expiry, *(running.task for running in self.running.values()))
                    left = [task for task in owned if task is not None]
                    for running in list(self.running.values()):
                        running.stop()
                await cancel_until_done(left)

    def _is_origin_allowed(self) -> bool:
        """Whether a page of this origin may open a socket: browsers send no preflight for one, so nobody else asks."""
        headers = self._websocket.headers
        origin = headers.get("origin")
        return origin is None or is_origin_allowed(origin, headers.get("host", ""), self._limits.allowed_origins)

    async def _talk(self) -> None:
        try:
            async with self._patience:
                while True:
                    self._be_patient()
                    message = await self._receive()
                    self._patience.reschedule(None)
                    if message["type"] == "websocket.disconnect":
                        return
                    await self._act(await self._read(message.get("text")))
        except Violation as violation:
            await self._close(violation.code, violation.reason)
        except (WebSocketDisconnect, WebSocketDisconnected):
            return
        except Exception:  # The supervisor of a socket: a bug must not look like a broken network to the client.
            if self._patience.expired():
                await self._part()
                return
            log.exception("A socket broke")
            await self._close(CloseCode.INTERNAL_ERROR, "Internal error")

    async def _receive(self) -> Message:
        self._is_waiting = True
        try:
            return await self._websocket.receive()
        finally:
            self._is_waiting = False

    def _be_patient(self) -> None:
        """Wait for the next message so long: for ever while operations run, as many would take memory for a timer."""
        if self._protocol.phase is Phase.OPENED:
            self._patience.reschedule(self._opened_at + self._limits.init_timeout_s)
        elif not self.running:
            self._patience.reschedule(self._idle_since + self._limits.idle_timeout_s)

    async def _part(self) -> None:
        """Close the socket of a client that did not initialise it in time, or had nothing run for long."""
        if self._protocol.phase is Phase.OPENED:
            REFUSED.labels("init_timeout").inc()
            await self._close(CloseCode.INIT_TIMEOUT, "Connection initialisation timeout")
        else:
            REFUSED.labels("idle_timeout").inc()
            await self._close(CloseCode.NORMAL, "Idle")

    async def _read(self, text: str | None) -> protocol.Action:
        """Return what a frame asks for; None is a binary one. A large one waits for its turn. Raises Violation."""
        if text is None:
            return self._protocol.receive_bytes()
        if len(text) <= LARGE_CHARS:
            return self._protocol.receive_text(text)
        async with self._operations.turns.take():
            return self._protocol.receive_text(text)

    async def _act(self, action: protocol.Action) -> None:
        match action:
            case protocol.Send(frame):
                await self.send(frame)
            case protocol.Init(payload):
                await self._identify(payload or {})
                if not self._principal.is_lasting:
                    self._expiry = self.tasks.create_task(self._expire(), name=f"expiry {self._correlation_id}")
                await self.send(ACK)
            case protocol.Stop(ident):  # One that came after the socket began to leave was never started.
                if (running := self.running.get(ident)) is not None:
                    running.stop()
            case protocol.Start(ident, request) if not self._leaving:
                self._started += 1
                running = self.running[ident] = Running(self, ident, f"{self._correlation_id}.{self._started}")
                context = self._replica.new_context(running.correlation_id, self._principal)
                running.start(self._operations, request, context)
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
        scope = self._websocket.scope  # It holds a kilobyte with a secret, of which nobody asks anything any more.
        scope["headers"].clear()
        scope["head"].fields.clear()

    async def _expire(self) -> None:
        """Wait for the end of the credential, then end everything; clients may come again with a new one after 4403."""
        await self._replica.authenticator.until_invalid(self._principal)
        ended = no_longer_valid()
        stopped = self._stop_subscriptions()
        with suppress(WebSocketDisconnect, WebSocketDisconnected, TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                for ident, cursor in stopped:
                    await self.send(error_frame(ident, [ended_error(ended, cursor)]))
        await self._finish(self._limits.shutdown_s)
        await self._close(CloseCode.FORBIDDEN, f"Forbidden: {ended}")

    def is_running(self, running: Running) -> bool:
        """Whether the operation has neither ended nor been stopped."""
        return self.running.get(running.id) is running

    def forget(self, running: Running) -> None:
        """Free the id of an operation that is over."""
        if self.is_running(running):
            del self.running[running.id]
            self._protocol.end(running.id)
            if not self.running:
                self._idle_since = asyncio.get_running_loop().time()
                if self._is_waiting:
                    self._be_patient()

    async def send(self, frame: str) -> None:
        """Send a frame as soon as the client reads; none once the socket is closed."""
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
        stopped = self._stop_subscriptions()
        await self._finish(within_s)
        if stopped or self.running:
            await self._close(CloseCode.SERVICE_RESTART, "Service restart")
        else:
            await self._close(CloseCode.GOING_AWAY, "Going away")

    def _stop_subscriptions(self) -> list[tuple[str, Cursor | None]]:
        """Start nothing more, stop the subscriptions, and return the id of each and of the last event that it sent."""
        self._leaving = True
        subscriptions = [running for running in self.running.values() if running.is_subscription]
        stopped = [(running.id, running.cursor) for running in subscriptions]
        for running in subscriptions:
            running.stop()
        return stopped

    async def _finish(self, within_s: float) -> None:
        """Let what runs end."""
        tasks = [running.task for running in self.running.values() if running.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=within_s)


def _wait(_frame: bytes) -> bool:
    """Do what stands for pushing where the server has no such thing."""
    return False
