"""A list of items by Strawberry, as it comes."""

from datetime import datetime
from typing import Any

import strawberry
from items import ITEMS
from strawberry.asgi import GraphQL
from strawberry.scalars import JSON


@strawberry.type
class Item:
    """A thing in the catalogue."""

    id: strawberry.ID
    name: str
    description: str | None
    metadata: JSON
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, stored: dict[str, Any]) -> "Item":
        """Return what stands for a stored item."""
        return cls(**{**stored, "id": strawberry.ID(str(stored["id"]))})


@strawberry.type
class ItemConnection:
    """A page of items."""

    nodes: list[Item]


@strawberry.type
class Query:
    """The root."""

    @strawberry.field
    async def items(self, first: int = 20) -> ItemConnection:
        """List items."""
        return ItemConnection(nodes=[Item.of(stored) for stored in ITEMS[:first]])


app = GraphQL[None, None](strawberry.Schema(Query))
