"""What is each task's own within a write that many tasks share, as MongoDB's expressions."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from bson import encode
from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument

_CODEC: CodecOptions[dict[str, Any]] = CodecOptions(uuid_representation=UuidRepresentation.STANDARD)


class Own(NamedTuple):
    """What one task has of its own."""

    task_id: UUID
    document: RawBSONDocument

    @property
    def size(self) -> int:
        """Its bytes."""
        return len(self.document.raw)


def own(task_id: UUID, document: Mapping[str, Any]) -> Own:
    """Return a task's own document, encoded, so that its size is known and nothing in it is taken for an expression."""
    return Own(task_id, RawBSONDocument(encode(document, codec_options=_CODEC)))


def with_own(members: Sequence[Own], expression: object) -> dict[str, Any]:
    """Return the expression in which `$$own` is the document of the task at hand.

    It is found by halves, for MongoDB evaluates only the branch that is taken.
    """
    ordered = sorted(members, key=lambda member: member.task_id)
    return {"$let": {"vars": {"own": _choice(ordered)}, "in": expression}}


def _choice(members: Sequence[Own]) -> dict[str, Any]:
    if len(members) == 1:
        return {"$literal": members[0].document}
    half = len(members) // 2
    return {"$cond": [{"$lt": ["$_id", members[half].task_id]}, _choice(members[:half]), _choice(members[half:])]}
