"""What one gateway process serves with: the schema, and the services that its resolvers reach."""

from dataclasses import dataclass

import strawberry

from gateway.context import OperationContext, Services

LOCAL_OWNER = "local"


@dataclass(frozen=True)
class Replica:
    """One process's share of the edge."""

    services: Services
    schema: strawberry.Schema

    def new_context(self, correlation_id: str) -> OperationContext:
        """Return the context of one operation. Every caller is the local owner while there is no authentication."""
        return OperationContext(self.services, LOCAL_OWNER, correlation_id)
