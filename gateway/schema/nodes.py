"""The query `node`: anything by its id alone."""

import asyncio
from typing import Annotated

import strawberry

from core.ids import parse_id
from gateway.schema.fields import ContextInfo, query
from gateway.schema.item_view import ItemView
from gateway.schema.items import read_item
from gateway.schema.node import NodeType
from gateway.schema.task_queries import read_task
from gateway.schema.task_view import TaskView


@strawberry.type
class NodeQuery:
    """The root that reads by id."""

    @query(NodeType | None, description="The item or task with this id, null if there is none.")
    async def node(
        self, info: ContextInfo, id: Annotated[strawberry.ID, strawberry.argument(description="Its UUID.")]
    ) -> ItemView | TaskView | None:
        ident = parse_id(id)
        item, task = await asyncio.gather(read_item(info, ident), read_task(info, ident))
        return item or task
