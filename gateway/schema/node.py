"""The interface Node: what an id names. Ids are bare UUIDs, not Relay's `Type:id` in base64."""

from functools import lru_cache
from typing import Any

import strawberry
from graphql import GraphQLResolveInfo

from core import documents
from gateway.schema.item_view import ItemView
from gateway.schema.task_view import TaskView


@lru_cache(maxsize=1_000)
def task_type_name(kind: str) -> str:
    """Return the name of the object type of a kind's tasks: `processData` → `ProcessDataTask`."""
    return f"{kind[:1].upper()}{kind[1:]}Task"


def task_type_of(kind: str, info: GraphQLResolveInfo[Any]) -> str:
    """Return the name of the object type that tasks of a kind have in this schema."""
    return task_type_name(kind) if kind in info.context.services.kinds else "UntypedTask"


def type_name_of(source: Any, info: GraphQLResolveInfo[Any]) -> str | None:
    """Return the name of the object type that a resolver's value has in this schema."""
    if isinstance(source, documents.Item | ItemView):
        return "Item"
    if isinstance(source, TaskView):
        return task_type_of(source.kind, info)
    return None


@strawberry.interface(name="Node", description="Anything that has an id.")
class NodeType:
    """Implemented by Item and by the types of tasks."""

    id: strawberry.ID = strawberry.field(description="The UUID (version 7) that names it everywhere.")

    @classmethod
    def resolve_type(cls, source: Any, info: GraphQLResolveInfo[Any], _: Any) -> str | None:
        """Tell graphql-core which object type a value has."""
        return type_name_of(source, info)
