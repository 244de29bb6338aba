"""Items: the type, its connection, and how items are read."""

from datetime import datetime
from enum import Enum
from functools import lru_cache
from typing import Annotated, Any, ClassVar
from uuid import UUID

import strawberry
from graphql import GraphQLResolveInfo
from strawberry import UNSET

from core import documents
from core.errors import NotFound
from core.ids import parse_id
from core.item_filter import MAX_METADATA_CONDITIONS, item_query
from gateway.guard.directives import SCAN_WEIGHT, Cost, page_size
from gateway.schema.fields import ContextInfo, query
from gateway.schema.item_view import COLUMNS, ItemView
from gateway.schema.node import NodeType
from gateway.schema.paging import (
    AFTER_HELP,
    DEFAULT_FIRST,
    FIRST_HELP,
    ID,
    MAX_FIRST,
    MAX_SELECTIONS,
    Bare,
    Order,
    Page,
    PageInfo,
    count,
    moment_key,
    read_page,
    text_key,
)
from gateway.schema.scalars import JSON
from gateway.schema.selection import selected

STORED = {
    "name": "name",
    "description": "description",
    "metadata": "metadata",
    "createdAt": "created_at",
    "updatedAt": "updated_at",
}
"""What MongoDB holds of an item beside its id, by the fields that show it."""


@strawberry.type(name="Item", description="A thing in the catalogue.")
class ItemType(NodeType):
    """Its values are the stored document's attributes."""

    name: str = strawberry.field(description="1 to 200 characters; several items may have the same name.")
    description: str | None = strawberry.field(description="A longer text, null if there is none.")
    metadata: JSON = strawberry.field(description="An object that may hold anything else known of the item.")
    created_at: datetime = strawberry.field(description="When it was made.")
    updated_at: datetime = strawberry.field(description="When it was last changed; at first, when it was made.")

    sources: ClassVar = (documents.Item, ItemView)
    """What is an item: plans ask once for a class."""
    columns: ClassVar = COLUMNS

    @classmethod
    def is_type_of(cls, source: Any, _: GraphQLResolveInfo[Any]) -> bool:
        """Tell graphql-core that stored items are of this type."""
        return isinstance(source, cls.sources)


@strawberry.type(description="An item and its place in the list.")
class ItemEdge:
    """Relay's edge."""

    node: ItemType = strawberry.field(description="The item.")
    cursor: str = strawberry.field(description="Its place in this order, for `after`.")


@strawberry.type(description="A page of items.")
class ItemConnection:
    """Relay's connection; its source is a Page."""

    edges: list[ItemEdge] = strawberry.field(description="The page's items, each with its cursor.")
    nodes: list[ItemType] = strawberry.field(description="The page's items.")
    page_info: PageInfo = strawberry.field(description="Whether and where the list goes on.")

    total_count: int = strawberry.field(
        resolver=count,
        description="How many items the filter matches on all pages; counted only when asked for.",
        directives=[Cost(weight=SCAN_WEIGHT)],
    )


@strawberry.enum(description="The order of items. Items that are equal in it stand in the order they were made.")
class ItemOrder(Enum):
    """A member's name is also the name inside its cursors."""

    NEWEST_FIRST = strawberry.enum_value("NEWEST_FIRST", description="The latest made first.")
    OLDEST_FIRST = strawberry.enum_value("OLDEST_FIRST", description="The first made first.")
    NAME_ASC = strawberry.enum_value("NAME_ASC", description="By name, A before Z; capitals before small letters.")
    NAME_DESC = strawberry.enum_value("NAME_DESC", description="By name, Z before A.")
    UPDATED_ASC = strawberry.enum_value("UPDATED_ASC", description="The longest unchanged first.")
    UPDATED_DESC = strawberry.enum_value("UPDATED_DESC", description="The latest changed first.")


ORDERS = {
    order.name: order
    for order in (
        Order("NEWEST_FIRST", (ID,), -1),
        Order("OLDEST_FIRST", (ID,), 1),
        Order("NAME_ASC", (text_key("name"), ID), 1),
        Order("NAME_DESC", (text_key("name"), ID), -1),
        Order("UPDATED_ASC", (moment_key("updated_at"), ID), 1),
        Order("UPDATED_DESC", (moment_key("updated_at"), ID), -1),
    )
}
NEWEST_FIRST = ORDERS["NEWEST_FIRST"]


@strawberry.input(description="A condition on one value inside the metadata.")
class MetadataEquals:
    """A path and the value it must have."""

    path: str = strawberry.field(description="Names joined by dots, such as `address.city`.")
    value: JSON = strawberry.field(
        description="What must stand there. A list there matches too if it contains the value; null also matches where "
        "nothing stands."
    )


@strawberry.input(description="Which items to list: those that meet every condition given.")
class ItemFilter:
    """Conditions on items."""

    name_prefix: str | None = strawberry.field(
        default=UNSET, description="The name begins with this text, capitals and small letters told apart."
    )
    name_contains: str | None = strawberry.field(
        default=UNSET, description="The name contains this text, capitals and small letters told apart."
    )
    metadata: list[MetadataEquals] | None = strawberry.field(
        default=UNSET, description=f"Values that the metadata must have, at most {MAX_METADATA_CONDITIONS}."
    )
    created_from: datetime | None = strawberry.field(default=UNSET, description="Made at this moment or later.")
    created_to: datetime | None = strawberry.field(default=UNSET, description="Made before this moment.")


@lru_cache(MAX_SELECTIONS)
def _stored_among(names: frozenset[str]) -> frozenset[str]:
    return frozenset(STORED[name] for name in names if name in STORED)


def _stored_fields(info: ContextInfo) -> frozenset[str]:
    return _stored_among(selected(info))


async def read_item(info: ContextInfo, ident: UUID) -> ItemView | None:
    """Read what is asked of the item with this id, None if there is none."""
    wanted = dict.fromkeys(("_id", *_stored_fields(info)), 1)
    document = await documents.Item.get_pymongo_collection().find_one({"_id": ident}, wanted)
    return None if document is None else ItemView(document)


async def find_item(info: ContextInfo, ident: str) -> ItemView:
    """Read what is asked of the item with this id. Raises BadUserInput if it is no UUID, NotFound if there is none."""
    item = await read_item(info, parse_id(ident))
    if item is None:
        raise NotFound("item", ident)
    return item


LISTED = Bare()


@strawberry.type
class ItemQuery:
    """The roots that read items."""

    @query(ItemType, description="The item with this id; NOT_FOUND if there is none.")
    async def item(
        self, info: ContextInfo, id: Annotated[strawberry.ID, strawberry.argument(description="Its UUID.")]
    ) -> ItemView:
        return await find_item(info, id)

    @query(ItemConnection, "Items, a page at a time.", page_size(DEFAULT_FIRST, MAX_FIRST))
    async def items(
        self,
        info: ContextInfo,
        first: Annotated[int | None, strawberry.argument(description=FIRST_HELP)] = DEFAULT_FIRST,
        after: Annotated[str | None, strawberry.argument(description=AFTER_HELP)] = UNSET,
        filter: Annotated[ItemFilter | None, strawberry.argument(description="Which items; null means all.")] = UNSET,
        order: Annotated[
            ItemOrder | None, strawberry.argument(description="In which order; null means NEWEST_FIRST.")
        ] = UNSET,
    ) -> Page[ItemView]:
        return await read_page(
            LISTED.of(documents.Item.get_pymongo_collection()),
            item_query(filter) if filter else {},
            ORDERS[order.name] if order else NEWEST_FIRST,
            first=first,
            after=after,
            view=ItemView,
            fields=_stored_fields(info),
            reads=info.context.reads,
        )
