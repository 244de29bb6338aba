"""The kind importItems: items from the text of a CSV or NDJSON file, inserted or updated by a key."""

import asyncio
from collections.abc import Iterator
from enum import StrEnum
from itertools import islice
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from core.errors import BadUserInput, shown
from core.items import validate_description, validate_metadata, validate_metadata_key, validate_name
from jobs.kinds import AsyncTaskContext, kind
from jobs.records import Record, UnreadableRecord, read_csv, read_csv_header, read_ndjson
from jobs.upserts import TEXT_FIELDS, Row, index_key, is_key, write_rows

MAX_CONTENT_BYTES = 8 * 1024 * 1024
"""The content is part of the task's document, which MongoDB limits to 16 MB."""
BULK_ROWS = 500
MAX_REJECTED = 100
MAX_REASON_CHARS = 300


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


@kind(timeout_s=3600, max_attempts=3)
async def import_items(ctx: AsyncTaskContext, input: ImportItemsInput) -> ImportItemsResult:
    """Insert or update one item for each row of a CSV or NDJSON file; a bad row is reported and stops no other.

    Columns other than `name` and `description` go to the item's metadata; in CSV, plain decimal numbers become numbers
    and empty cells say nothing. The key decides: the oldest item with the row's key is updated, otherwise the row makes
    a new item; of two rows with one key the later updates what the earlier made. An update replaces the name and what
    else the row names; the description and metadata that the row doesn't name stay as they are.
    """
    tally = _Tally() if ctx.state is None else _Tally.model_validate(ctx.state)
    total, records = await asyncio.to_thread(_open_at, input, tally.position)
    ctx.progress(tally.position, total)
    await index_key(input.key_field)
    while bulk := list(islice(records, BULK_ROWS)):
        await _import_bulk(ctx.task_id, bulk, input.key_field, tally)
        tally.position += len(bulk)
        await ctx.checkpoint(tally.model_dump())
        ctx.progress(tally.position, total)
    return ImportItemsResult.model_validate(tally.model_dump(exclude={"position"}))


def _open_at(input: ImportItemsInput, position: int) -> tuple[int, Iterator[Record]]:
    """Return how many records there are, and those from `position` on. Takes a second for the largest file."""
    total = sum(1 for _ in _records(input))
    records = _records(input)
    for _ in islice(records, position):
        pass
    return total, records


def _records(input: ImportItemsInput) -> Iterator[Record]:
    if input.format is ImportFormat.CSV:
        return read_csv(input.content, input.key_field)
    return read_ndjson(input.content)


async def _import_bulk(task_id: UUID, records: list[Record], key_field: str, tally: _Tally) -> None:
    """Check and write one bulk, and count its rows in `tally` once they are durable."""
    rows: list[Row] = []
    rejected: list[tuple[int, str]] = []
    for record in records:
        try:
            rows.append(_checked(record, key_field))
        except (UnreadableRecord, BadUserInput) as exc:
            rejected.append((record.line, str(exc)))
    bulk = await write_rows(task_id, rows, key_field)
    tally.inserted += bulk.inserted
    tally.updated += bulk.updated
    for line, reason in sorted(rejected + bulk.rejected):
        tally.reject(line, reason)


def _checked(record: Record, key_field: str) -> Row:
    """Return the record as a row that can be stored. Raises UnreadableRecord or BadUserInput saying why it can't."""
    values = record.values
    validate_name(values.get("name"))
    validate_description(values.get("description"))
    metadata = {name: value for name, value in values.items() if name not in TEXT_FIELDS}
    validate_metadata(metadata)
    key = values.get(key_field)
    if not is_key(key):
        raise BadUserInput(key_field, "text or a number: it is the key", got=key)
    return Row(record.line, key, values["name"], "description" in values, values.get("description"), metadata)
