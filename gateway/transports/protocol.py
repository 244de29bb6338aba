"""The server's side of graphql-transport-ws as a state machine without input or output.

It is told what came and answers with what to do; the socket does it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from gateway.transports.frames import (
    PONG,
    CloseCode,
    Complete,
    ConnectionInit,
    Ping,
    Subscribe,
    close_reason,
    decode_message,
    error_frame,
)
from gateway.transports.limits import EdgeLimits
from gateway.transports.request import GraphQLRequest, Unreadable


class Phase(Enum):
    """Where a connection stands."""

    OPENED = auto()
    ACKNOWLEDGED = auto()


@dataclass(frozen=True)
class Send:
    """Send this frame."""

    frame: str


@dataclass(frozen=True)
class Init:
    """Find out who this is, then acknowledge; what the client sends meanwhile waits."""

    payload: Mapping[str, Any] | None


@dataclass(frozen=True)
class Start:
    """Run this operation; call `Protocol.end` when it is over."""

    id: str
    request: GraphQLRequest


@dataclass(frozen=True)
class Stop:
    """Cancel the operation with this id; its id is free already."""

    id: str


Action = Send | Init | Start | Stop | None


class Violation(Exception):
    """The client broke the protocol: close the socket with `code` and `reason`."""

    def __init__(self, code: CloseCode, reason: str) -> None:
        self.code = code
        self.reason = close_reason(reason)
        super().__init__(self.reason)


class Protocol:
    """One connection's state: its phase, and the ids of the operations that run."""

    def __init__(self, limits: EdgeLimits) -> None:
        self._limits = limits
        self.phase = Phase.OPENED
        self.running: set[str] = set()

    def receive_text(self, text: str) -> Action:
        """Return what a text frame asks for. Raises Violation."""
        try:
            message = decode_message(text, self._limits)
        except Unreadable as exc:
            raise Violation(CloseCode.BAD_REQUEST, f"Invalid message: {exc}") from exc
        if isinstance(message, ConnectionInit):
            if self.phase is not Phase.OPENED:
                raise Violation(CloseCode.TOO_MANY_INITS, "Too many initialisation requests")
            self.phase = Phase.ACKNOWLEDGED
            return Init(message.payload)
        if isinstance(message, Ping):
            return Send(PONG)
        if isinstance(message, Subscribe):
            return self._subscribe(message)
        if isinstance(message, Complete) and message.id in self.running:
            self.running.remove(message.id)
            return Stop(message.id)
        # A pong needs no answer; a complete may cross with the end of its operation.
        return None

    def receive_bytes(self) -> Action:
        """Refuse a binary frame. Raises Violation."""
        raise Violation(CloseCode.BAD_REQUEST, "Invalid message: expected a text frame")

    def _subscribe(self, message: Subscribe) -> Action:
        if self.phase is not Phase.ACKNOWLEDGED:
            raise Violation(CloseCode.UNAUTHORIZED, "Unauthorized")
        if message.id in self.running:
            raise Violation(CloseCode.ALREADY_SUBSCRIBED, f"Subscriber for {message.id} already exists")
        if len(self.running) >= self._limits.operations_per_connection:
            limit = self._limits.operations_per_connection
            error = {
                "message": f"Expected at most {limit} operations at a time on one connection",
                "extensions": {"code": "RATE_LIMITED"},
            }
            return Send(error_frame(message.id, [error]))
        self.running.add(message.id)
        return Start(message.id, message.payload)

    def end(self, ident: str) -> None:
        """Free the id of an operation that is over; nothing for one that was stopped."""
        self.running.discard(ident)
