"""A list of items by FastAPI, without GraphQL."""

from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import FastAPI
from items import ITEMS
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Item(BaseModel):
    """A thing in the catalogue."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    id: UUID
    name: str
    description: str | None
    metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime


class ItemPage(BaseModel):
    """A page of items."""

    items: list[Item]


app = FastAPI()


@app.get("/items")
async def list_items(first: int = 20) -> ItemPage:
    """List items."""
    return ItemPage(items=[Item(**stored) for stored in ITEMS[:first]])
