"""Items as the peers of FastAPI tell them, with or without a database."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class ItemOut(BaseModel):
    """A thing in the catalogue, as it is told."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    id: UUID
    name: str
    description: str | None
    metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime


class ItemPage(BaseModel):
    """A page of items."""

    items: list[ItemOut]
