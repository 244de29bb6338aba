"""The schema executed on a replica's services, without a transport."""

import secrets
from dataclasses import dataclass, replace
from typing import Any

import strawberry

from core.documents import Role
from gateway.context import OperationContext, Services
from gateway.errors import mask
from gateway.identity.principals import Principal

OPERATOR = Principal("local", Role.OPERATOR)


@dataclass(frozen=True)
class Answer:
    """A response: data and masked errors."""

    data: dict[str, Any]
    errors: list[dict[str, Any]]

    @property
    def code(self) -> str:
        """The only error's code."""
        (error,) = self.errors
        return str(error["extensions"]["code"])


@dataclass(frozen=True)
class Gateway:
    """The schema with the services of one replica."""

    schema: strawberry.Schema
    services: Services
    principal: Principal = OPERATOR

    def of(self, owner: str) -> "Gateway":
        """Return the same gateway asked by someone else, who may see its own tasks only."""
        return self.by(Principal(owner))

    def by(self, principal: Principal) -> "Gateway":
        """Return the same gateway asked by this principal."""
        return replace(self, principal=principal)

    @property
    def context(self) -> OperationContext:
        """A fresh operation's context."""
        return OperationContext(self.services, self.principal, secrets.token_hex(4))

    async def ask(self, query: str, **variables: Any) -> Answer:
        """Execute an operation; errors come as clients see them."""
        result = await self.schema.execute(query, variable_values=variables, context_value=self.context)
        return Answer(result.data or {}, mask(result.errors or [], "c-1"))

    async def get(self, query: str, **variables: Any) -> dict[str, Any]:
        """Execute an operation that must not fail; return its data."""
        answer = await self.ask(query, **variables)
        assert answer.errors == []
        return answer.data
