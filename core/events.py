"""What a subscriber sees: events, their cursor, and the names under which Redis carries them.

The id of an event is its cursor `epoch-n`: whoever may write a task's events holds its epoch and numbers them 1, 2, 3….
It is a valid Redis stream id, so that a stream itself refuses what comes from an older epoch.
"""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec

from core.errors import BadUserInput
from core.states import TaskStatus

_MAX_PART = 2**63 - 1


class Cursor(NamedTuple):
    """An event's id, compared as two numbers. Cursor(0, 0) is before every event."""

    epoch: int
    n: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.n}"

    @classmethod
    def parse(cls, text: str, field: str = "after") -> "Cursor":
        """Return the cursor that `text` spells. Raises BadUserInput naming `field` if it spells none."""
        epoch, dash, n = text.partition("-")
        if dash and epoch.isascii() and n.isascii() and epoch.isdecimal() and n.isdecimal() and len(text) <= 40:
            cursor = cls(int(epoch), int(n))
            if max(cursor) <= _MAX_PART:
                return cursor
        raise BadUserInput(field, "a task's cursor such as 2-17", got=text)


class StateChanged(msgspec.Struct, frozen=True, tag="state", omit_defaults=True):
    """A task took another status. It also stands in the task's timeline, written by the same compare-and-set."""

    at: datetime
    attempt: int
    status: TaskStatus
    by: str = ""
    reason: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    v: int = 1


class Progressed(msgspec.Struct, frozen=True, tag="progress", omit_defaults=True):
    """The running attempt moved on. `total` is None while unknown."""

    at: datetime
    attempt: int
    current: int
    total: int | None = None
    message: str | None = None
    v: int = 1


class Logged(msgspec.Struct, frozen=True, tag="log", omit_defaults=True):
    """The running attempt said something."""

    at: datetime
    attempt: int
    text: str
    v: int = 1


Event = StateChanged | Progressed | Logged

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)


def encode_event(event: Event) -> bytes:
    """Return the event's body as compact JSON."""
    return _encoder.encode(event)


def decode_event(body: bytes) -> Event:
    """Return the event in a body. Raises msgspec.DecodeError or msgspec.ValidationError if it is none."""
    return _decoder.decode(body)


def stream_key(namespace: str, task_id: UUID) -> str:
    """Return the name of a task's stream, which is also the name of its pub/sub channel."""
    return f"{namespace}:events:{task_id}"


def stream_pattern(namespace: str) -> str:
    """Return the pattern of all tasks' channels; in each, its task's id stands in the place of the final `*`."""
    return f"{namespace}:events:*"


def encode_notice(cursor: Cursor, body: bytes) -> bytes:
    """Return what is published beside the stream entry: the cursor, a space, the body."""
    return b"%d-%d %b" % (cursor.epoch, cursor.n, body)


def decode_notice(data: bytes) -> tuple[Cursor, Event]:
    """Return what `encode_notice` put together. Raises BadUserInput or msgspec errors if it is malformed."""
    ident, _, body = data.partition(b" ")
    return Cursor.parse(ident.decode("ascii", "replace"), "notice"), decode_event(body)
