"""Who asks: a principal with the owner name of its tasks, its role, and how long both hold."""

import math
from dataclasses import dataclass
from typing import Any

from core.documents import Role
from core.errors import Forbidden

RANKS = {role: rank for rank, role in enumerate(Role)}


@dataclass(frozen=True)
class Principal:
    """An owner and a role. Several keys and tokens may name one owner; they see the same tasks.

    `expires_at` is in seconds since 1970. `key_id` names the API key that it came with, None for a token.
    """

    owner: str
    role: Role = Role.OPERATOR
    expires_at: float = math.inf
    key_id: str | None = None

    @property
    def visible(self) -> dict[str, Any]:
        """MongoDB's filter of what it may see of all that has an owner: its own, an admin everything."""
        return {} if self.role is Role.ADMIN else {"owner": self.owner}

    @property
    def is_lasting(self) -> bool:
        """Whether it holds for ever: it came with nothing that could expire or be revoked."""
        return self.expires_at == math.inf and self.key_id is None

    def may_see(self, owner: str) -> bool:
        """Return whether it may see what belongs to `owner`."""
        return self.role is Role.ADMIN or owner == self.owner

    def counted_as(self, address: str) -> str:
        """Return whom to count it as: its owner or, where everybody is LOCAL, the address it comes from."""
        return f"address {address}" if self is LOCAL else f"owner {self.owner}"

    def require(self, role: Role, field: str) -> None:
        """Raise Forbidden if `field` needs a greater role than its own."""
        if RANKS[self.role] < RANKS[role]:
            raise Forbidden(field, role)


LOCAL = Principal("local", Role.ADMIN)
"""Everybody, while authentication is off."""
