"""The kind exportItems: the items that a filter matches, as a CSV or NDJSON file that importItems takes back."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import pymongo
from pydantic import BaseModel, ConfigDict, Field

from core import files
from core.clock import utc_now
from core.documents import Item
from core.item_filter import ItemFilter, item_query
from jobs.exports import TEXT_FIELDS, columns_of, csv_head, csv_rows, ndjson_rows
from jobs.kinds import AsyncTaskContext, PermanentError, kind

BATCH_ITEMS = 500
QUERY_TIMEOUT_S = 60.0
"""For MongoDB to count, or to find the next batch: it may have to look at every item there is."""
MAX_COLUMNS = 1_000
MAX_BYTES = 2**40


class ExportFormat(StrEnum):
    """How the file is written."""

    CSV = "CSV"
    NDJSON = "NDJSON"


MEDIA_TYPES = {ExportFormat.CSV: "text/csv; charset=utf-8", ExportFormat.NDJSON: "application/x-ndjson"}


class ExportItemsInput(BaseModel):
    """Which items to write, and how."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    filter: ItemFilter | None = Field(None, description="Which items; null means all.")
    format: ExportFormat = Field(
        ExportFormat.CSV,
        description="CSV: a header, commas, quotes as in RFC 4180. NDJSON: one JSON object a line.",
    )


class ExportItemsResult(BaseModel):
    """A file, to be fetched with GET by whoever may see the task."""

    file_id: UUID = Field(description="The file's id.")
    url: str = Field(description="The path at which this host serves the file: `/files/` and its id.")
    rows: int = Field(ge=0, description="How many items are in it.")
    bytes: int = Field(ge=0, le=MAX_BYTES, description="How large it is.")
    expires_at: datetime = Field(description="Until when it is there: a day after it was made.")


async def check_filter(input: ExportItemsInput, owner: str) -> None:
    """Make sure that the filter can be asked. Raises BadUserInput."""
    if input.filter is not None:
        item_query(input.filter)


@kind(timeout_s=3600, max_attempts=3, check=check_filter, spreads_input=True)
async def export_items(ctx: AsyncTaskContext, input: ExportItemsInput) -> ExportItemsResult:
    """Write the items that a filter matches into a CSV or NDJSON file, which is kept for a day.

    The file has `name` and `description`, then what is in the metadata, under its names: in CSV a column for each name,
    in alphabetical order, where text stands as it is, other values as JSON, and nothing for null. importItems takes the
    file as it is. Items come in the order in which they were made; one that is made, changed or deleted meanwhile may
    be in the file or not, as it was or as it became.
    """
    query = item_query(input.filter) if input.filter else {}
    with pymongo.timeout(QUERY_TIMEOUT_S):
        total = await Item.get_pymongo_collection().count_documents(query)
    ctx.progress(0, total, "finding the columns" if input.format is ExportFormat.CSV else None)
    columns = await _find_columns(query) if input.format is ExportFormat.CSV else None
    export = _Export(ctx, query, total, columns)
    name = f"items-{utc_now():%Y%m%d-%H%M%S}.{input.format.lower()}"
    async with aclosing(export.pieces()) as pieces:
        file = await files.store(ctx.task_id, ctx.attempt, name, MEDIA_TYPES[input.format], pieces)
    if export.hidden:
        ctx.log(f"Left out what the metadata of {export.hidden:,} items calls name or description")
    assert file.metadata.kept_until is not None  # It is whole.
    return ExportItemsResult(
        file_id=file.id,
        url=f"/files/{file.id}",
        rows=export.rows,
        bytes=file.length,
        expires_at=file.metadata.kept_until,
    )


class _Export:
    """One attempt's way through the items. `columns` are the CSV file's behind the first two, None for NDJSON."""

    def __init__(self, ctx: AsyncTaskContext, query: dict[str, Any], total: int, columns: Sequence[str] | None) -> None:
        self._ctx = ctx
        self._query = query
        self._total = total
        self._columns = columns
        self.rows = 0
        self.hidden = 0

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield the file piece by piece; each batch counts once the next is asked for, so when it is stored."""
        if self._columns is not None:
            yield csv_head(self._columns)
        began = time.monotonic()
        async for items in _batches(self._query, *TEXT_FIELDS, "metadata"):
            yield await asyncio.to_thread(self._write, items)
            self.rows += len(items)
            self.hidden += sum(not item.get("metadata", {}).keys().isdisjoint(TEXT_FIELDS) for item in items)
            rate = self.rows / max(time.monotonic() - began, 0.001)
            self._ctx.progress(self.rows, max(self._total, self.rows), f"{rate:,.0f} items a second")
        self._ctx.progress(self.rows, self.rows)

    def _write(self, items: list[dict[str, Any]]) -> bytes:
        return ndjson_rows(items) if self._columns is None else csv_rows(items, self._columns)


async def _find_columns(query: dict[str, Any]) -> list[str]:
    """Return the names that the items' metadata has, in alphabetical order. Raises PermanentError for too many."""
    names: set[str] = set()
    async for items in _batches(query, "metadata"):
        names.update(*map(columns_of, items))
        if len(names) > MAX_COLUMNS:
            raise PermanentError(
                f"expected at most {MAX_COLUMNS:,} names in the items' metadata; NDJSON takes more",
                code="TOO_MANY_COLUMNS",
            )
    return sorted(names)


async def _batches(query: dict[str, Any], *fields: str) -> AsyncGenerator[list[dict[str, Any]], None]:
    """Yield what the query matches with these fields, oldest first, so many at a time that memory stays small."""
    found = Item.get_pymongo_collection().find(query, dict.fromkeys(fields, 1)).sort("_id", 1)
    async with found.batch_size(BATCH_ITEMS) as cursor:
        while True:
            with pymongo.timeout(QUERY_TIMEOUT_S):
                items = await cursor.to_list(BATCH_ITEMS)
            if not items:
                return
            yield items
