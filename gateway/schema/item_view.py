"""What the schema shows of an item in a list: the stored document's values, without a model of it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from core.clock import utc_now


class ItemView:
    """A stored item, which may lack what is not asked for."""

    __slots__ = ("created_at", "description", "id", "metadata", "name", "updated_at")

    def __init__(self, document: Mapping[str, Any]) -> None:
        find = document.get
        self.id: UUID = document["_id"]
        self.name: str | None = find("name")
        self.description: str | None = find("description")
        self.metadata: Any = find("metadata", {})
        self.created_at: datetime = find("created_at") or utc_now()
        self.updated_at: datetime = find("updated_at") or utc_now()
