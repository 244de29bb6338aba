"""The messages of graphql-transport-ws, typed in both directions.

https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
"""

from enum import IntEnum
from functools import lru_cache
from typing import Annotated, Any

import msgspec
import orjson

from gateway.transports.limits import EdgeLimits
from gateway.transports.request import GraphQLRequest, check_shape, decode_json

SUBPROTOCOL = "graphql-transport-ws"
MAX_REASON_BYTES = 123
"""What fits into a close frame beside its code (RFC 6455 §5.5)."""
MAX_ID_LENGTH = 256
MAX_ENVELOPES = 1_024
"""Clients number their operations, so few serve many of them."""


class CloseCode(IntEnum):
    """Why this side closes a socket."""

    NORMAL = 1000
    GOING_AWAY = 1001
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_REQUEST = 4400
    UNAUTHORIZED = 4401
    FORBIDDEN = 4403
    SUBPROTOCOL_NOT_ACCEPTABLE = 4406
    INIT_TIMEOUT = 4408
    ALREADY_SUBSCRIBED = 4409
    TOO_MANY_INITS = 4429


class ConnectionInit(msgspec.Struct, frozen=True, tag_field="type", tag="connection_init"):
    """The first message of a client."""

    payload: dict[str, Any] | None = None


class Ping(msgspec.Struct, frozen=True, tag_field="type", tag="ping"):
    """Asks for a pong, at any time."""

    payload: dict[str, Any] | None = None


class Pong(msgspec.Struct, frozen=True, tag_field="type", tag="pong"):
    """Answers a ping, or is a sign of life."""

    payload: dict[str, Any] | None = None


class Subscribe(msgspec.Struct, frozen=True, tag_field="type", tag="subscribe"):
    """Starts an operation of any type under an id that no running one has."""

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID_LENGTH)]
    payload: GraphQLRequest


class Complete(msgspec.Struct, frozen=True, tag_field="type", tag="complete"):
    """The client wants nothing more of an operation."""

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID_LENGTH)]


ClientMessage = ConnectionInit | Ping | Pong | Subscribe | Complete
_decoder: msgspec.json.Decoder[ClientMessage] = msgspec.json.Decoder(ClientMessage)

ACK = '{"type":"connection_ack"}'
PONG = '{"type":"pong"}'


def decode_message(text: str, limits: EdgeLimits) -> ClientMessage:
    """Return the message that a text frame holds. Raises Unreadable."""
    message = decode_json(_decoder, text)
    if isinstance(message, Subscribe):
        check_shape(text, message.payload, limits)
    return message


@lru_cache(maxsize=MAX_ENVELOPES)
def envelope(ident: str) -> bytes:
    """Return what stands before the payload in each result's frame of an operation."""
    return b'{"id":%b,"type":"next","payload":' % orjson.dumps(ident)


@lru_cache(maxsize=1)
def next_frame(before: bytes, payload: bytes) -> bytes:
    """Return the frame of one result: its operation's envelope joined to its JSON.

    Followers of a task have their payload in common, and for the most part the id of their operation.
    """
    return b"%b%b}" % (before, payload)


def error_frame(ident: str, errors: object) -> str:
    """Return the frame that ends an operation with errors."""
    return orjson.dumps({"id": ident, "type": "error", "payload": errors}).decode()


def complete_frame(ident: str) -> str:
    """Return the frame that ends an operation that has nothing more to say."""
    return f'{{"id":{orjson.dumps(ident).decode()},"type":"complete"}}'


def close_reason(text: str) -> str:
    """Return `text` on one line, cut to what a close frame can carry."""
    line = " ".join(text.split())
    return line.encode()[:MAX_REASON_BYTES].decode(errors="ignore")
