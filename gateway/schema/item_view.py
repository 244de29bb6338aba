"""What the schema shows of an item in a list: the stored document's values, without a model of it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from core.clock import utc_now
from gateway.schema.columns import Columns


class ItemView:
    """A stored item, which may lack what is not asked for. Its attributes are the document's own.

    Whoever shares a read has views of the same documents, so nobody may set an attribute.
    """

    name: str | None = None
    description: str | None = None
    created_at: datetime
    updated_at: datetime
    metadata: Any

    def __init__(self, document: dict[str, Any]) -> None:
        self.__dict__ = document

    @property
    def id(self) -> UUID:
        """The name that the schema has for it."""
        ident: UUID = self.__dict__["_id"]
        return ident

    def __getattr__(self, name: str) -> Any:
        """Return what an item has that was stored without it."""
        if name in ("created_at", "updated_at"):
            return utc_now()
        if name == "metadata":
            return {}
        raise AttributeError(name)


COLUMNS = Columns(
    ItemView,
    {
        "id": "_id",
        "name": "name",
        "description": "description",
        "metadata": "metadata",
        "created_at": "created_at",
        "updated_at": "updated_at",
    },
)
