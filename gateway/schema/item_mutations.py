"""Making, changing and removing items."""

from typing import Annotated, Any

import strawberry
from pymongo import ReturnDocument
from strawberry import UNSET

from core import documents
from core.clock import utc_now
from core.errors import BadUserInput, NotFound
from core.ids import new_id, parse_id
from core.items import validate_description, validate_metadata, validate_name
from gateway.guard.directives import ListSize
from gateway.schema.columns import Views
from gateway.schema.fields import ContextInfo, mutation
from gateway.schema.item_view import ItemView
from gateway.schema.items import ItemType, find_item
from gateway.schema.scalars import JSON

MAX_ITEMS = 1_000

_METADATA_HELP = (
    "An object of JSON values: at most 8 levels deep and 16 KB as JSON; its names hold no dot or NUL and do not start "
    "with `$`."
)


@strawberry.input(description="A new item.")
class CreateItemInput:
    """What an item is made of."""

    name: str = strawberry.field(description="1 to 200 characters, not only white space; it need not be unique.")
    description: str | None = strawberry.field(default=UNSET, description="A longer text, at most 10,000 characters.")
    metadata: JSON | None = strawberry.field(default=UNSET, description=f"{_METADATA_HELP} Null means none.")

    def document(self, field: str) -> dict[str, Any]:
        """Return the item as it is to be stored. Raises BadUserInput naming the value below `field` that is wrong."""
        validate_name(self.name, f"{field}.name")
        description = self.description if self.description is not UNSET else None
        validate_description(description, f"{field}.description")
        metadata: Any = {} if self.metadata is UNSET or self.metadata is None else self.metadata
        validate_metadata(metadata, f"{field}.metadata")
        now = utc_now()
        return {
            "_id": new_id(),
            "name": self.name,
            "description": description,
            "metadata": metadata,
            "created_at": now,
            "updated_at": now,
        }


@strawberry.input(description="What to change of an item; what is left out stays as it is.")
class UpdateItemInput:
    """New values."""

    name: str | None = strawberry.field(default=UNSET, description="1 to 200 characters; it can't be null.")
    description: str | None = strawberry.field(default=UNSET, description="The new text; null removes it.")
    metadata: JSON | None = strawberry.field(
        default=UNSET, description=f"Replaces the whole metadata; it can't be null, `{{}}` empties it. {_METADATA_HELP}"
    )

    def changes(self) -> dict[str, Any]:
        """Return the new values by the document's field. Raises BadUserInput."""
        changes: dict[str, Any] = {}
        if self.name is not UNSET:
            validate_name(self.name, "input.name")
            changes["name"] = self.name
        if self.description is not UNSET:
            validate_description(self.description, "input.description")
            changes["description"] = self.description
        if self.metadata is not UNSET:
            validate_metadata(self.metadata, "input.metadata")
            changes["metadata"] = self.metadata
        return changes


ItemId = Annotated[strawberry.ID, strawberry.argument(description="The item's UUID.")]


@strawberry.type
class ItemMutation:
    """The mutations of items."""

    @mutation(ItemType, description="Make an item.")
    async def create_item(
        self, input: Annotated[CreateItemInput, strawberry.argument(description="The new item.")]
    ) -> ItemView:
        document = input.document("input")
        await documents.Item.get_pymongo_collection().insert_one(document)
        return ItemView(document)

    @mutation(
        list[ItemType],
        f"Make up to {MAX_ITEMS:,} items at once. If one of them is not valid, none is made.",
        ListSize(slicing_arguments=["inputs"], maximum=MAX_ITEMS),
    )
    async def create_items(
        self,
        inputs: Annotated[
            list[CreateItemInput], strawberry.argument(description="The new items; they keep this order.")
        ],
    ) -> Views[ItemView]:
        if not 1 <= len(inputs) <= MAX_ITEMS:
            raise BadUserInput("inputs", f"1 to {MAX_ITEMS:,} items", got=len(inputs))
        made = [input.document(f"inputs.{index}") for index, input in enumerate(inputs)]
        await documents.Item.get_pymongo_collection().insert_many(made)
        return Views(made, ItemView)

    @mutation(ItemType, description="Change an item; NOT_FOUND if there is none with this id.")
    async def update_item(
        self,
        info: ContextInfo,
        id: ItemId,
        input: Annotated[UpdateItemInput, strawberry.argument(description="What to change.")],
    ) -> ItemView:
        changes = input.changes()
        if not changes:
            return await find_item(info, id)
        changed = await documents.Item.get_pymongo_collection().find_one_and_update(
            {"_id": parse_id(id)},
            {"$set": {**changes, "updated_at": utc_now()}},
            return_document=ReturnDocument.AFTER,
        )
        if changed is None:
            raise NotFound("item", id)
        return ItemView(changed)

    @mutation(strawberry.ID, description="Remove an item and return its id; NOT_FOUND if there is none with this id.")
    async def delete_item(self, id: ItemId) -> strawberry.ID:
        deleted = await documents.Item.get_pymongo_collection().delete_one({"_id": parse_id(id)})
        if not deleted.deleted_count:
            raise NotFound("item", id)
        return strawberry.ID(str(parse_id(id)))
