"""A list of items by Ariadne, as it comes."""

from datetime import datetime
from typing import Any

from ariadne import QueryType, ScalarType, make_executable_schema
from ariadne.asgi import GraphQL
from items import ITEMS

SDL = """
scalar DateTime
scalar JSON
type Item { id: ID! name: String! description: String metadata: JSON! createdAt: DateTime! updatedAt: DateTime! }
type ItemConnection { nodes: [Item!]! }
type Query { items(first: Int = 20): ItemConnection! }
"""
query = QueryType()
moment = ScalarType("DateTime")


@moment.serializer
def _iso(value: datetime) -> str:
    return value.isoformat()


@query.field("items")
async def list_items(_root: Any, _info: Any, first: int) -> dict[str, Any]:
    """List items."""
    return {"nodes": ITEMS[:first]}


schema = make_executable_schema(SDL, query, moment, convert_names_case=True)
app = GraphQL(schema)
