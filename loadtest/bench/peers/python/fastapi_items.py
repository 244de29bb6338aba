"""A list of items by FastAPI, without GraphQL."""

from fastapi import FastAPI
from items import ITEMS
from items_out import ItemOut, ItemPage

app = FastAPI()


@app.get("/items")
async def list_items(first: int = 20) -> ItemPage:
    """List items."""
    return ItemPage(items=[ItemOut(**stored) for stored in ITEMS[:first]])
