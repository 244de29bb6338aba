"""A list of the newest items by FastAPI and Beanie, without GraphQL: as one begins."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from beanie import Document, init_beanie
from fastapi import FastAPI
from items_out import ItemOut, ItemPage
from pydantic import Field
from pymongo import AsyncMongoClient


class Item(Document):
    """A thing in the catalogue, as it is stored."""

    id: UUID
    name: str
    description: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    created_at: datetime
    updated_at: datetime

    class Settings:
        """Where it is stored."""

        name = "items"


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Connect while the process runs."""
    client = AsyncMongoClient(os.environ["MONGO_URL"], tz_aware=True, uuidRepresentation="standard")
    async with client:
        await init_beanie(database=client[os.environ["HEADWAY_MONGO_DATABASE"]], document_models=[Item])
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/items")
async def list_items(first: int = 20) -> ItemPage:
    """List the newest items."""
    stored = await Item.find_all().sort("-_id").limit(first).to_list()
    return ItemPage(items=[ItemOut(**item.model_dump()) for item in stored])
