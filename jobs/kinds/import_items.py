"""The kind importItems: items from a CSV or NDJSON file, inserted or updated by a key, counted right across crashes.

Why a repeated bulk counts right. Counts and position are checkpointed after each bulk. An attempt may die between the
bulk's write and its checkpoint; the next one then repeats exactly this bulk. A row that updates is counted again from
the old checkpoint, so once. A row that inserts would now find its own item and look like an update; but the id of an
item is derived from the task and the row's line, so the item that a row finds under its own id is its own insert.
The write is an upsert under that id, so neither a repeat nor an attempt that lost its lease can insert a row twice.

Two imports that insert the same new key at the same moment may both insert it: no index makes a free key unique.
"""

import asyncio
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import islice
from typing import Any, TypeGuard
from uuid import UUID

import pymongo
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pymongo import UpdateOne

from core.clock import utc_now
from core.documents import Item
from core.errors import BadUserInput, shown
from core.items import validate_description, validate_metadata, validate_metadata_key, validate_name
from jobs.kinds import AsyncTaskContext, kind
from jobs.records import TEXT_COLUMNS, Record, UnreadableRecord, read_csv, read_csv_header, read_ndjson

MAX_CONTENT_BYTES = 8 * 1024 * 1024
"""The content is part of the task's document, which MongoDB limits to 16 MB."""
BULK_ROWS = 500
BULK_TIMEOUT_S = 60.0
MAX_REJECTED = 100
MAX_REASON_CHARS = 300
Key = str | int | float


def _require_column_name(name: str, where: str) -> None:
    try:
        validate_metadata_key(name, where)
    except BadUserInput as exc:
        raise ValueError(str(exc)) from exc


class ImportFormat(StrEnum):
    """How the file is written."""

    CSV = "CSV"
    NDJSON = "NDJSON"


class ImportItemsInput(BaseModel):
    """A file's text and how to read it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: ImportFormat = Field(
        description="CSV: a header with a column `name`, commas, quotes as in RFC 4180. NDJSON: one JSON object a line."
    )
    content: str = Field(description="The file's text: not blank, at most 8 MB (8,388,608 bytes) in UTF-8.")
    key_field: str = Field(
        "name",
        description="The column whose value says which item a row is: `name`, `description` or one that goes to "
        "metadata. The oldest item with the same value is updated; without one the row is inserted.",
    )

    @field_validator("content")
    @classmethod
    def _is_readable(cls, content: str, info: ValidationInfo) -> str:
        if not content.removeprefix("\ufeff").strip():
            raise ValueError("expected the text of a file, got nothing")
        try:
            size = len(content) if len(content) > MAX_CONTENT_BYTES else len(content.encode())
        except UnicodeEncodeError as exc:
            raise ValueError("expected text that is valid Unicode (no lone surrogates)") from exc
        if size > MAX_CONTENT_BYTES:
            raise ValueError(f"expected at most {MAX_CONTENT_BYTES:,} bytes in UTF-8")
        if info.data.get("format") is ImportFormat.CSV:
            for column in read_csv_header(content):
                _require_column_name(column, "header")
        return content

    @field_validator("key_field")
    @classmethod
    def _is_a_column(cls, key_field: str, info: ValidationInfo) -> str:
        _require_column_name(key_field, "column")
        if info.data.get("format") is ImportFormat.CSV and "content" in info.data:
            header = read_csv_header(info.data["content"])
            if key_field not in header:
                raise ValueError(f"expected one of the file's columns, {shown(header)}")
        return key_field


class RejectedRow(BaseModel):
    """A row that was left out."""

    line: int = Field(description="The physical line of the file on which the row starts, from 1.")
    reason: str = Field(description="What was expected and what came.")


class ImportItemsResult(BaseModel):
    """What became of the rows. Every row is counted once: inserted, updated or rejected."""

    inserted: int = Field(0, description="Rows that made a new item.")
    updated: int = Field(0, description="Rows whose key an item had already, also when it held the same values.")
    rejected: list[RejectedRow] = Field(
        default_factory=list, description=f"The first {MAX_REJECTED} rows that were left out, in the file's order."
    )
    rejected_total: int = Field(0, description="How many rows were left out.")


class _Tally(ImportItemsResult):
    """The checkpoint: the counts, and how many records of the file they cover."""

    position: int = 0

    def reject(self, line: int, reason: str) -> None:
        self.rejected_total += 1
        if len(self.rejected) < MAX_REJECTED:
            self.rejected.append(RejectedRow(line=line, reason=reason[:MAX_REASON_CHARS]))


@dataclass(frozen=True)
class _Row:
    """A row that passed every check of its own."""

    line: int
    key: Key
    name: str
    described: bool
    description: str | None
    metadata: dict[str, Any]


@dataclass(frozen=True)
class _Stored:
    """What has to be known of an item to update it."""

    id: UUID
    metadata: dict[str, Any]


@dataclass
class _Plan:
    """What a bulk is about to write, and how its rows then count."""

    operations: list[UpdateOne] = field(default_factory=list)
    inserted: int = 0
    updated: int = 0
    rejected: list[tuple[int, str]] = field(default_factory=list)


@kind(timeout_s=3600, max_attempts=3)
async def import_items(ctx: AsyncTaskContext, input: ImportItemsInput) -> ImportItemsResult:
    """Insert or update one item for each row of a CSV or NDJSON file; a bad row is reported and stops no other.

    Columns other than `name` and `description` go to the item's metadata; in CSV, plain decimal numbers become numbers
    and empty cells say nothing. The key decides: the oldest item with the row's key is updated, otherwise the row makes
    a new item; of two rows with one key the later updates what the earlier made. An update replaces the name and what
    else the row names; the description and metadata that the row doesn't name stay as they are.
    """
    tally = _Tally() if ctx.state is None else _Tally.model_validate(ctx.state)
    total = await asyncio.to_thread(lambda: sum(1 for _ in _records(input)))
    records = _records(input)
    for _ in islice(records, tally.position):
        pass
    ctx.progress(tally.position, total)
    while bulk := list(islice(records, BULK_ROWS)):
        await _import_bulk(ctx.task_id, bulk, input.key_field, tally)
        tally.position += len(bulk)
        await ctx.checkpoint(tally.model_dump())
        ctx.progress(tally.position, total)
    return ImportItemsResult.model_validate(tally.model_dump(exclude={"position"}))


def _records(input: ImportItemsInput) -> Iterator[Record]:
    if input.format is ImportFormat.CSV:
        return read_csv(input.content, input.key_field)
    return read_ndjson(input.content)


async def _import_bulk(task_id: UUID, records: list[Record], key_field: str, tally: _Tally) -> None:
    """Write one bulk by one query and one bulk write, and count its rows in `tally`."""
    rows: list[_Row] = []
    rejected: list[tuple[int, str]] = []
    for record in records:
        try:
            rows.append(_checked(record, key_field))
        except (UnreadableRecord, BadUserInput) as exc:
            rejected.append((record.line, str(exc)))
    plan = _plan(task_id, rows, await _find_by_key({row.key for row in rows}, key_field))
    if plan.operations:
        with pymongo.timeout(BULK_TIMEOUT_S):
            await Item.get_pymongo_collection().bulk_write(plan.operations, ordered=True)
    tally.inserted += plan.inserted
    tally.updated += plan.updated
    for line, reason in sorted(rejected + plan.rejected):
        tally.reject(line, reason)


def _plan(task_id: UUID, rows: list[_Row], known: dict[Key, _Stored]) -> _Plan:
    """Decide for each row whether it inserts or updates; `known` gains what the rows themselves insert."""
    plan = _Plan()
    now = utc_now()
    for row in rows:
        own_id = _item_id(task_id, row.line)
        stored = known.get(row.key)
        if stored is None:
            known[row.key] = _Stored(own_id, row.metadata)
            plan.operations.append(_insertion(own_id, row, now))
            plan.inserted += 1
            continue
        merged = {**stored.metadata, **row.metadata}
        try:
            validate_metadata(merged, "metadata, with what the item holds already")
        except BadUserInput as exc:
            plan.rejected.append((row.line, str(exc)))
            continue
        known[row.key] = _Stored(stored.id, merged)
        plan.operations.append(_update(stored.id, row, now))
        if stored.id == own_id:
            plan.inserted += 1
        else:
            plan.updated += 1
    return plan


def _checked(record: Record, key_field: str) -> _Row:
    """Return the record as a row that can be stored. Raises UnreadableRecord or BadUserInput saying why it can't."""
    values = record.values
    validate_name(values.get("name"))
    validate_description(values.get("description"))
    metadata = {name: value for name, value in values.items() if name not in TEXT_COLUMNS}
    validate_metadata(metadata)
    key = values.get(key_field)
    if not _is_key(key):
        raise BadUserInput(key_field, "text or a number: it is the key", got=key)
    return _Row(record.line, key, values["name"], "description" in values, values.get("description"), metadata)


def _is_key(value: object) -> TypeGuard[Key]:
    return isinstance(value, str | int | float) and not isinstance(value, bool) and value != ""


async def _find_by_key(keys: set[Key], key_field: str) -> dict[Key, _Stored]:
    """Return for each key that an item has, the oldest such item."""
    in_metadata = key_field not in TEXT_COLUMNS
    path = f"metadata.{key_field}" if in_metadata else key_field
    fields = {"metadata": 1} if in_metadata else {"metadata": 1, key_field: 1}
    found: dict[Key, _Stored] = {}
    async for document in Item.get_pymongo_collection().find({path: {"$in": list(keys)}}, fields).sort("_id", 1):
        key = (document["metadata"] if in_metadata else document)[key_field]
        # MongoDB also matches an array that contains the value, which is not the key we look for.
        if _is_key(key) and key not in found:
            found[key] = _Stored(document["_id"], document["metadata"])
    return found


def _item_id(task_id: UUID, line: int) -> UUID:
    """Return the id of the item that this line inserts: the same in every attempt of the task, another in every task.

    A UUIDv7 (RFC 9562, section 6.2, method 1): the task's own time, the line as a 32-bit counter so that items sort as
    in the file, and 42 bits that tell tasks of the same millisecond apart.
    """
    tag = int.from_bytes(hashlib.sha256(task_id.bytes).digest()[:8]) & (1 << 42) - 1
    milliseconds = task_id.int >> 80
    high, low = line >> 20 & 0xFFF, line & 0xFFFFF
    return UUID(int=milliseconds << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low << 42 | tag)


def _insertion(ident: UUID, row: _Row, now: datetime) -> UpdateOne:
    item = Item(
        id=ident,
        name=row.name,
        description=row.description,
        metadata=row.metadata,
        created_at=now,
        updated_at=now,
    )
    fields = item.model_dump(exclude={"id", "revision_id"})
    return UpdateOne({"_id": ident}, {"$setOnInsert": fields}, upsert=True)


def _update(ident: UUID, row: _Row, now: datetime) -> UpdateOne:
    changes: dict[str, Any] = {"name": row.name, "updated_at": now}
    if row.described:
        changes["description"] = row.description
    # Name by name, so that what others change in the same metadata meanwhile stays.
    changes |= {f"metadata.{name}": value for name, value in row.metadata.items()}
    return UpdateOne({"_id": ident}, {"$set": changes})
