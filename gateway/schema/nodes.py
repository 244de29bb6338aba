"""The query `node`: anything by its id alone."""

import asyncio
from typing import Annotated

import strawberry

from core import documents
from core.ids import parse_id
from gateway.schema.fields import ContextInfo, query
from gateway.schema.node import NodeType
from gateway.schema.task_view import TaskView


@strawberry.type
class NodeQuery:
    """The root that reads by id."""

    @query(NodeType | None, description="The item or task with this id, null if there is none.")
    async def node(
        self, info: ContextInfo, id: Annotated[strawberry.ID, strawberry.argument(description="Its UUID.")]
    ) -> documents.Item | TaskView | None:
        ident = parse_id(id)
        visible = info.context.principal.visible
        item, task = await asyncio.gather(documents.Item.get(ident), documents.Task.find_one({"_id": ident, **visible}))
        return item or (TaskView(task) if task else None)
