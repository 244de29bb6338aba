"""Writing an import's rows as items, bulk by bulk: the key decides whether a row inserts an item or updates one.

Why a repeated bulk counts right. Counts and position are checkpointed after each bulk. An attempt may die between the
bulk's write and its checkpoint; the next one then repeats exactly this bulk. A row that updates is counted again from
the old checkpoint, so once. A row that inserts would now find its own item and look like an update; but the id of an
item is derived from the task and the row's line, so the item that a row finds under its own id is its own insert.
The write is an upsert under that id, so neither a repeat nor an attempt that lost its lease can insert a row twice.

Two imports that insert the same new key at the same moment may both insert it: no index makes a free key unique.
"""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeGuard
from uuid import UUID

import pymongo
from pymongo import ASCENDING, UpdateOne

from core.clock import utc_now
from core.documents import Item
from core.errors import BadUserInput
from core.items import validate_metadata

BULK_TIMEOUT_S = 60.0
MAX_INDEXES = 20
"""Above this many, a new key gets no index of its own: each one slows every write, and MongoDB takes 64 at most."""
TEXT_FIELDS = frozenset({"name", "description"})
Key = str | int | float


@dataclass(frozen=True)
class Row:
    """A row that passed every check of its own. `described` tells a description of null from none at all."""

    line: int
    key: Key
    name: str
    described: bool
    description: str | None
    metadata: dict[str, Any]


@dataclass
class Bulk:
    """What is written of some rows, and how they count. Rejected rows come as line and reason."""

    operations: list[UpdateOne] = field(default_factory=list)
    inserted: int = 0
    updated: int = 0
    rejected: list[tuple[int, str]] = field(default_factory=list)


@dataclass(frozen=True)
class _Stored:
    id: UUID
    metadata: dict[str, Any]


def is_key(value: object) -> TypeGuard[Key]:
    """Return whether a value can tell items apart: a number, or text that isn't empty."""
    return isinstance(value, str | int | float) and not isinstance(value, bool) and value != ""


async def index_key(key_field: str) -> None:
    """Give the key an index unless it has one; without it each bulk would read every item there is."""
    path = _path(key_field)
    collection = Item.get_pymongo_collection()
    with pymongo.timeout(BULK_TIMEOUT_S):
        indexes = [list(index["key"]) async for index in await collection.list_indexes()]
        if len(indexes) < MAX_INDEXES and all(fields[0] != path for fields in indexes):
            await collection.create_index([(path, ASCENDING)], sparse=True)


async def write_rows(task_id: UUID, rows: list[Row], key_field: str) -> Bulk:
    """Insert or update an item for each row, by one query and one bulk write; return what was done."""
    with pymongo.timeout(BULK_TIMEOUT_S):
        bulk = _plan(task_id, rows, await _find_by_key({row.key for row in rows}, key_field))
        if bulk.operations:
            await Item.get_pymongo_collection().bulk_write(bulk.operations, ordered=True)
    return bulk


async def _find_by_key(keys: set[Key], key_field: str) -> dict[Key, _Stored]:
    """Return for each key that an item has, the oldest such item."""
    in_metadata = key_field not in TEXT_FIELDS
    fields = {"metadata": 1} if in_metadata else {"metadata": 1, key_field: 1}
    found: dict[Key, _Stored] = {}
    query = {_path(key_field): {"$in": list(keys)}}
    async for document in Item.get_pymongo_collection().find(query, fields).sort("_id", ASCENDING):
        key = (document["metadata"] if in_metadata else document)[key_field]
        # MongoDB also matches an array that contains the value, which is not the key we look for.
        if is_key(key) and key not in found:
            found[key] = _Stored(document["_id"], document["metadata"])
    return found


def _plan(task_id: UUID, rows: list[Row], known: dict[Key, _Stored]) -> Bulk:
    """Decide for each row whether it inserts or updates; `known` gains what the rows themselves insert."""
    bulk = Bulk()
    now = utc_now()
    for row in rows:
        own_id = item_id(task_id, row.line)
        stored = known.get(row.key)
        if stored is None:
            known[row.key] = _Stored(own_id, row.metadata)
            bulk.operations.append(_insertion(own_id, row, now))
            bulk.inserted += 1
            continue
        merged = {**stored.metadata, **row.metadata}
        try:
            validate_metadata(merged, "metadata, with what the item holds already")
        except BadUserInput as exc:
            bulk.rejected.append((row.line, str(exc)))
            continue
        known[row.key] = _Stored(stored.id, merged)
        bulk.operations.append(_update(stored.id, row, now))
        if stored.id == own_id:
            bulk.inserted += 1
        else:
            bulk.updated += 1
    return bulk


def item_id(task_id: UUID, line: int) -> UUID:
    """Return the id of the item that this line inserts: the same in every attempt of the task, another in every task.

    A UUIDv7 (RFC 9562, section 6.2, method 1): the task's own time, the line as a 32-bit counter so that items sort as
    in the file, and 42 bits that tell tasks of the same millisecond apart.
    """
    tag = int.from_bytes(hashlib.sha256(task_id.bytes).digest()[:8]) & (1 << 42) - 1
    milliseconds = task_id.int >> 80
    high, low = line >> 20 & 0xFFF, line & 0xFFFFF
    return UUID(int=milliseconds << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low << 42 | tag)


def _insertion(ident: UUID, row: Row, now: datetime) -> UpdateOne:
    item = Item(
        id=ident, name=row.name, description=row.description, metadata=row.metadata, created_at=now, updated_at=now
    )
    fields = item.model_dump(exclude={"id", "revision_id"})
    return UpdateOne({"_id": ident}, {"$setOnInsert": fields}, upsert=True)


def _update(ident: UUID, row: Row, now: datetime) -> UpdateOne:
    changes: dict[str, Any] = {"name": row.name, "updated_at": now}
    if row.described:
        changes["description"] = row.description
    # Name by name, so that what others change in the same metadata meanwhile stays.
    changes |= {f"metadata.{name}": value for name, value in row.metadata.items()}
    return UpdateOne({"_id": ident}, {"$set": changes})


def _path(key_field: str) -> str:
    return key_field if key_field in TEXT_FIELDS else f"metadata.{key_field}"
