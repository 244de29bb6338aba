"""What RabbitMQ carries: only the id of a task, the epoch it was submitted under, and what its story is found by.

A body is one TaskMessage (version 1), or several that were sent at the same moment (version 2, ADR 0005).
"""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

import msgspec

from core.states import Priority

PRIORITIES = (Priority.HIGH, Priority.NORMAL, Priority.LOW)


class TaskMessage(msgspec.Struct, frozen=True):
    """An invitation to run one task. It may come twice; the compare-and-set on the document decides.

    `trace` is that of `core.tracing`, None where the sender does not trace.
    """

    task_id: UUID
    epoch: Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
    trace: str | None = None
    correlation_id: str | None = None
    version: int = 1

    @property
    def ticket(self) -> str:
        """The id of arq's job: another one for every epoch, so no leftover key can block or erase a later run."""
        return f"{self.task_id}:{self.epoch}"


class _TaskMessages(msgspec.Struct, frozen=True):
    tasks: Annotated[tuple[TaskMessage, ...], msgspec.Meta(min_length=1)]
    version: int = 2


class _Versioned(msgspec.Struct):
    version: int = 1


class UnreadableMessage(ValueError):
    """A broker message that no version of this program can read; the message says why."""


_encoder = msgspec.json.Encoder()
_versions = msgspec.json.Decoder(_Versioned)
_one = msgspec.json.Decoder(TaskMessage)
_several = msgspec.json.Decoder(_TaskMessages)


def encode_messages(messages: Sequence[TaskMessage]) -> bytes:
    """Return the body, as JSON, that carries these messages."""
    return _encoder.encode(messages[0] if len(messages) == 1 else _TaskMessages(tuple(messages)))


def decode_messages(body: bytes) -> Sequence[TaskMessage]:
    """Return the messages in a body, at least one. Raises UnreadableMessage if it is of no known version."""
    try:
        version = _versions.decode(body).version
        if version == 1:
            return (_one.decode(body),)
        if version == 2:
            return _several.decode(body).tasks
    except (msgspec.MsgspecError, RecursionError) as exc:
        raise UnreadableMessage(f"expected a task message as JSON: {exc}") from exc
    raise UnreadableMessage(f"expected version 1 or 2, got {version}")


def parse_ticket(ticket: str) -> TaskMessage:
    """Return the task and epoch that a ticket names. Raises UnreadableMessage if it names none."""
    task_id, colon, epoch = ticket.partition(":")
    try:
        if colon and epoch.isdecimal():
            return TaskMessage(UUID(task_id), int(epoch))
    except ValueError as exc:
        raise UnreadableMessage(f"expected '<task id>:<epoch>', got {ticket[:80]!r}") from exc
    raise UnreadableMessage(f"expected '<task id>:<epoch>', got {ticket[:80]!r}")


def queue_name(namespace: str, priority: Priority) -> str:
    """Return the durable quorum queue of a priority."""
    return f"{namespace}.tasks.{priority.lower()}"


def arq_queue_name(namespace: str) -> str:
    """Return arq's sorted set, the short run queue between bridge and workers."""
    return f"arq:queue:{namespace}"


def bridge_wake_channel(namespace: str) -> str:
    """Return the Redis channel on which a gateway tells a bridge without a broker that a task was inserted."""
    return f"{namespace}:wake:bridge"


def cancel_channel(namespace: str) -> str:
    """Return the Redis channel on which the id of a running task is published once its cancel is recorded."""
    return f"{namespace}:cancel"
