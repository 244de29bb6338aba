"""The kind importItems: items from the text of a CSV or NDJSON file, inserted or updated by a key."""

import asyncio
import io
import tempfile
from collections.abc import Iterator
from contextlib import aclosing
from enum import StrEnum
from itertools import islice
from typing import TextIO
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from core import contents
from core.errors import BadUserInput, NotFound, shown
from core.items import validate_description, validate_metadata, validate_metadata_key, validate_name
from jobs.kinds import AsyncTaskContext, PermanentError, kind
from jobs.records import Record, UnreadableRecord, read_csv, read_csv_header, read_ndjson
from jobs.upserts import TEXT_FIELDS, Row, index_key, is_key, write_rows

MAX_CONTENT_BYTES = 1024 * 1024
"""Of a content that is part of the task's document; a larger one is uploaded first."""
MAX_HEADER_BYTES = 256 * 1024
"""Of an uploaded content: how much of it is read at submit, to see what its columns are."""
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
    content: str | None = Field(
        None, description="The file's text: not blank, at most 1 MB (1,048,576 bytes) in UTF-8. Or else: contentId."
    )
    content_id: UUID | None = Field(
        None,
        validate_default=True,
        description="The id of a larger file (up to 16 MB) that was uploaded with POST /imports/content within the "
        "last hour. Or else: content.",
    )
    key_field: str = Field(
        "name",
        description="The column whose value says which item a row is: `name`, `description` or one that goes to "
        "metadata. The oldest item with the same value is updated; without one the row is inserted.",
    )

    @field_validator("content")
    @classmethod
    def _is_readable(cls, content: str | None, info: ValidationInfo) -> str | None:
        if content is None:
            return None
        if not content.removeprefix("\ufeff").strip():
            raise ValueError("expected the text of a file, got nothing")
        try:
            size = len(content) if len(content) > MAX_CONTENT_BYTES else len(content.encode())
        except UnicodeEncodeError as exc:
            raise ValueError("expected text that is valid Unicode (no lone surrogates)") from exc
        if size > MAX_CONTENT_BYTES:
            raise ValueError(f"expected at most {MAX_CONTENT_BYTES:,} bytes in UTF-8; upload a larger file first")
        if info.data.get("format") is ImportFormat.CSV:
            _read_columns(content)
        return content

    @field_validator("content_id")
    @classmethod
    def _is_the_only_one(cls, content_id: UUID | None, info: ValidationInfo) -> UUID | None:
        if "content" in info.data and (content_id is None) == (info.data["content"] is None):
            raise ValueError("expected one of content and contentId")
        return content_id

    @field_validator("key_field")
    @classmethod
    def _is_a_column(cls, key_field: str, info: ValidationInfo) -> str:
        _require_column_name(key_field, "column")
        if info.data.get("format") is ImportFormat.CSV and info.data.get("content") is not None:
            _require_column(key_field, _read_columns(info.data["content"]))
        return key_field


def _read_columns(text: str) -> list[str]:
    """Return the columns of a CSV file's text. Raises ValueError where one can't be stored under its name."""
    columns = read_csv_header(io.StringIO(text.removeprefix("\ufeff"), newline=""))
    for column in columns:
        _require_column_name(column, "header")
    return columns


def _require_column(key_field: str, columns: list[str]) -> None:
    if key_field not in columns:
        raise ValueError(f"expected one of the file's columns, {shown(columns)}")


async def claim_content(input: ImportItemsInput, owner: str) -> None:
    """Make sure that an uploaded content is the owner's, stays, and has the columns. Raises BadUserInput."""
    if input.content_id is None:
        return
    try:
        await contents.claim(input.content_id, owner)
    except NotFound as exc:
        expected = "the id of a content that you uploaded within the last hour"
        raise BadUserInput("content_id", expected, got=str(input.content_id)) from exc
    if input.format is not ImportFormat.CSV:
        return
    start = bytearray()
    async with aclosing(contents.read(input.content_id)) as pieces:
        async for piece in pieces:
            start += piece
            if len(start) >= MAX_HEADER_BYTES:
                break
    field = "content_id"
    try:
        columns = _read_columns(start.decode(errors="ignore"))
        field = "key_field"
        _require_column(input.key_field, columns)
    except ValueError as exc:
        raise BadUserInput(field, str(exc).removeprefix("expected ")) from exc


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


@kind(timeout_s=3600, max_attempts=3, check=claim_content)
async def import_items(ctx: AsyncTaskContext, input: ImportItemsInput) -> ImportItemsResult:
    """Insert or update one item for each row of a CSV or NDJSON file; a bad row is reported and stops no other.

    Columns other than `name` and `description` go to the item's metadata; in CSV, plain decimal numbers become numbers
    and empty cells say nothing. The key decides: the oldest item with the row's key is updated, otherwise the row makes
    a new item; of two rows with one key the later updates what the earlier made. An update replaces the name and what
    else the row names; the description and metadata that the row doesn't name stay as they are.
    """
    tally = _Tally() if ctx.state is None else _Tally.model_validate(ctx.state)
    with await _open_file(input) as file:
        total, records = await asyncio.to_thread(_open_at, input, file, tally.position)
        ctx.progress(tally.position, total)
        await index_key(input.key_field)
        while bulk := await asyncio.to_thread(_take, records):
            await _import_bulk(ctx.task_id, bulk, input.key_field, tally)
            tally.position += len(bulk)
            await ctx.checkpoint(tally.model_dump())
            ctx.progress(tally.position, total)
    return ImportItemsResult.model_validate(tally.model_dump(exclude={"position"}))


async def _open_file(input: ImportItemsInput) -> TextIO:
    """Return the content as a file: an uploaded one is copied to the disk, piece by piece. Raises PermanentError."""
    newline = "" if input.format is ImportFormat.CSV else "\n"
    if input.content_id is None:
        return io.TextIOWrapper(io.BytesIO((input.content or "").encode()), "utf-8-sig", newline=newline)
    file = tempfile.TemporaryFile()  # noqa: SIM115  # The caller closes it.
    try:
        async with aclosing(contents.read(input.content_id)) as pieces:
            async for piece in pieces:
                await asyncio.to_thread(file.write, piece)
        file.seek(0)
    except NotFound as exc:
        file.close()
        raise PermanentError("The uploaded content is no longer there; upload it again", code="CONTENT_GONE") from exc
    except BaseException:
        file.close()
        raise
    return io.TextIOWrapper(file, "utf-8-sig", newline=newline)


def _open_at(input: ImportItemsInput, file: TextIO, position: int) -> tuple[int, Iterator[Record]]:
    """Return how many records there are, and those from `position` on. Takes seconds for the largest file."""
    total = sum(1 for _ in _records(input, file))
    file.seek(0)
    records = _records(input, file)
    for _ in islice(records, position):
        pass
    return total, records


def _take(records: Iterator[Record]) -> list[Record]:
    return list(islice(records, BULK_ROWS))


def _records(input: ImportItemsInput, file: TextIO) -> Iterator[Record]:
    if input.format is ImportFormat.CSV:
        return read_csv(file, input.key_field)
    return read_ndjson(file)


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
