"""What a change of many tasks by a filter came to, and how many it may touch."""

from dataclasses import dataclass

BULK_LIMIT = 1_000
"""Tasks that one call changes at most."""


@dataclass(frozen=True)
class BulkOutcome:
    """`matched` tasks met the filter when the call came, `changed` of them it changed; `has_more`: call again."""

    matched: int
    changed: int
    has_more: bool
