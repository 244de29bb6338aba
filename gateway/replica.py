"""What one gateway process serves with: the schema, and the services that its resolvers reach."""

from dataclasses import dataclass, field

import strawberry

from gateway.context import OperationContext, Services
from gateway.identity.authentication import Authenticator
from gateway.identity.budget import CostBudget
from gateway.identity.principals import LOCAL, Principal
from gateway.reads import SharedReads
from gateway.trusted_store import StoredDocuments


@dataclass(frozen=True)
class Replica:
    """One process's share of the edge."""

    services: Services
    schema: strawberry.Schema
    authenticator: Authenticator = field(default_factory=Authenticator)
    budget: CostBudget | None = None
    stored: StoredDocuments | None = None
    reads: SharedReads = field(default_factory=SharedReads)

    def new_context(self, correlation_id: str, principal: Principal = LOCAL) -> OperationContext:
        """Return the context of one operation."""
        return OperationContext(self.services, principal, correlation_id, self.budget, self.reads)
