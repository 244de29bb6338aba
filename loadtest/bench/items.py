"""The items that every contestant lists, and the query that asks for them. Knows nothing of who answers."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

LISTED = 20
NEWEST = UUID("019e7f3a-5c00-7a3c-9f2e-8d5b4c61e0ff")
NOW = datetime(2026, 6, 1, 8, 30, 12, 345_000, UTC)
QUERY_OF = "query($first: Int) { items(first: $first) { nodes { id name description metadata createdAt updatedAt } } }"
QUERY = f"{{ items(first: {LISTED}) {{ nodes {{ id name description metadata createdAt updatedAt }} }} }}"


def documents(count: int) -> list[dict[str, Any]]:
    """Return items as MongoDB holds them, a second between two of them, the newest first; the same each time.

    Every second one was changed a minute after it was made.
    """
    return [
        {
            "_id": UUID(int=NEWEST.int - number),
            "name": f"item {number}",
            "description": "A thing of some use.",
            "metadata": {"colour": "red", "size": number},
            "created_at": NOW - timedelta(seconds=number),
            "updated_at": NOW - timedelta(seconds=number) + timedelta(minutes=number % 2),
        }
        for number in range(count)
    ]


def as_asked(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return an item under the names of the query, in its order."""
    same = {key: document[key] for key in ("name", "description", "metadata")}
    times = {"createdAt": document["created_at"], "updatedAt": document["updated_at"]}
    return {"id": document["_id"]} | same | times
