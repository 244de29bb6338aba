"""Keyset pages: cursors that name a place in an order, so that a page costs the same however deep it lies."""

import base64
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache, partial
from typing import Any, Generic, TypeVar
from uuid import UUID

import bson
import orjson
import strawberry
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.cursor import AsyncCursor

from core.errors import BadUserInput
from gateway.reads import SharedReads
from gateway.schema.columns import Views

MAX_FIRST = 100
DEFAULT_FIRST = 20
MAX_CURSOR_CHARS = 2_000
MAX_SELECTIONS = 100
"""Of the latest selections of fields, what is read for them is known."""
FIRST_HELP = f"How many to return, 1 to {MAX_FIRST}."
AFTER_HELP = "Continue behind the entry with this cursor, in the same order. Null starts from the beginning."
CURSOR_EXPECTED = "a cursor that an earlier page of the same order gave"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
D = TypeVar("D")


@dataclass(frozen=True)
class Key:
    """One field of an order: how a document's value goes into a cursor (JSON), and back (raises ValueError)."""

    field: str
    write: Callable[[Any], Any]
    read: Callable[[Any], Any]


def _read_text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("expected text")  # noqa: TRY004  # Its caller asks for one class of error.
    return value


def _write_moment(value: datetime) -> int:
    since = value.replace(tzinfo=UTC) - _EPOCH if value.tzinfo is None else value - _EPOCH
    return round(since / timedelta(milliseconds=1))


def _read_moment(value: Any) -> datetime:
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > 10**14:
        raise ValueError("expected milliseconds")
    return _EPOCH + timedelta(milliseconds=value)


def _read_id(value: Any) -> UUID:
    return UUID(_read_text(value))


ID = Key("_id", str, _read_id)


def text_key(field: str) -> Key:
    """Return the key of a field that holds text."""
    return Key(field, str, _read_text)


def moment_key(field: str) -> Key:
    """Return the key of a field that holds a moment."""
    return Key(field, _write_moment, _read_moment)


@dataclass(frozen=True)
class Order:
    """A total order: its last key is unique. `direction` is 1 or -1 and holds for all keys, so one index serves it."""

    name: str
    keys: tuple[Key, ...]
    direction: int

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """The fields that it orders by, and the id."""
        return (*(key.field for key in self.keys), "_id")

    @cached_property
    def sort(self) -> list[tuple[str, int]]:
        """What MongoDB sorts by."""
        return [(key.field, self.direction) for key in self.keys]

    def cursor_of(self, document: Mapping[str, Any]) -> str:
        """Return the cursor of a stored document."""
        values = [key.write(document[key.field]) for key in self.keys]
        return base64.urlsafe_b64encode(orjson.dumps([self.name, *values])).rstrip(b"=").decode()

    def after(self, cursor: str) -> dict[str, Any]:
        """Return the MongoDB filter of what lies behind `cursor`. Raises BadUserInput naming `after`."""
        values = self._read(cursor)
        beyond = "$gt" if self.direction > 0 else "$lt"
        ways = []
        for index, key in enumerate(self.keys):
            equal = {earlier.field: value for earlier, value in zip(self.keys[:index], values, strict=False)}
            ways.append({**equal, key.field: {beyond: values[index]}})
        if len(ways) == 1:
            return ways[0]
        # The first key's own bound lets MongoDB start the index scan at the place, which $or alone does not.
        return {self.keys[0].field: {beyond + "e": values[0]}, "$or": ways}

    def _read(self, cursor: str) -> list[Any]:
        try:
            name, *values = _decode(cursor)
            if name == self.name:
                return [key.read(value) for key, value in zip(self.keys, values, strict=True)]
        except ValueError as exc:
            raise BadUserInput("after", CURSOR_EXPECTED, got=cursor) from exc
        raise BadUserInput("after", CURSOR_EXPECTED, got=cursor)


def _decode(cursor: str) -> list[Any]:
    """Return what a cursor holds, at least one part. Raises ValueError."""
    if len(cursor) > MAX_CURSOR_CHARS:
        raise ValueError("too long")
    padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
    parts = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    if not isinstance(parts, list) or not parts:
        raise ValueError("not a list")
    return parts


@strawberry.type(description="Where a page stands in the whole list (Relay's Cursor Connections).")
class PageInfo:
    """Relay's PageInfo."""

    has_next_page: bool = strawberry.field(description="Whether more follow; ask with `after: endCursor`.")
    has_previous_page: bool = strawberry.field(description="Whether this page was asked for with `after`.")
    start_cursor: str | None = strawberry.field(description="The first entry's cursor, null on an empty page.")
    end_cursor: str | None = strawberry.field(description="The last entry's cursor, null on an empty page.")


@dataclass(slots=True, eq=False)  # Neither it nor a page is frozen: that would take thrice as long to make.
class Edge(Generic[D]):
    """An entry and its place."""

    node: D
    cursor: str


@dataclass(slots=True, eq=False)
class Page(Generic[D]):
    """One page of a collection. Views and cursors are made when they are asked for, the total is counted then too."""

    collection: AsyncCollection[dict[str, Any]]
    query: dict[str, Any]
    order: Order
    documents: list[dict[str, Any]]
    has_next: bool
    has_previous: bool
    view: Callable[[dict[str, Any]], D]

    @property
    def nodes(self) -> Views[D]:
        return Views(self.documents, self.view)

    @property
    def edges(self) -> list[Edge[D]]:
        return [Edge(self.view(document), self.order.cursor_of(document)) for document in self.documents]

    @property
    def page_info(self) -> PageInfo:
        cursors = [self.order.cursor_of(self.documents[index]) for index in (0, -1)] if self.documents else [None, None]
        return PageInfo(
            has_next_page=self.has_next,
            has_previous_page=self.has_previous,
            start_cursor=cursors[0],
            end_cursor=cursors[1],
        )


class Bare:
    """One collection as it is read for lists: moments come without an offset.

    To give each the offset takes a third of the time in which a list of items is decoded (measured 2026-11).
    """

    def __init__(self) -> None:
        self._whole: AsyncCollection[dict[str, Any]] | None = None
        self._bare: AsyncCollection[dict[str, Any]] | None = None

    def of(self, collection: AsyncCollection[dict[str, Any]]) -> AsyncCollection[dict[str, Any]]:
        """Return the same collection, decoded so."""
        if self._bare is None or self._whole is not collection:
            options = collection.codec_options.with_options(tz_aware=False, tzinfo=None)
            self._whole, self._bare = collection, collection.with_options(codec_options=options)
        return self._bare


async def count(root: Page[Any]) -> int:
    """Count everything that a page's filter matches, on this page or not."""
    return await root.collection.count_documents(root.query)


async def read_page(
    collection: AsyncCollection[dict[str, Any]],
    query: dict[str, Any],
    order: Order,
    *,
    first: int | None,
    after: str | None,
    view: Callable[[dict[str, Any]], D],
    fields: Iterable[str] | None = None,
    weigh: Callable[[dict[str, Any]], None] | None = None,
    reads: SharedReads | None = None,
) -> Page[D]:
    """Read the page of `first` documents (null: 20) behind `after` (null or unset: from the start).

    What it reads has its id, what it is ordered by, and `fields` (None: everything), and is shown to `weigh` as it
    comes, which may raise to read no more. Without `weigh`, pages that are asked for at the same moment share `reads`.
    Raises BadUserInput naming `first` or `after`.
    """
    limit = DEFAULT_FIRST if first is None else first
    if not 1 <= limit <= MAX_FIRST:
        raise BadUserInput("first", f"1 to {MAX_FIRST}", got=limit)
    behind = order.after(after) if isinstance(after, str) else {}
    bounded = {"$and": [query, behind]} if query and behind else query or behind
    among = None if fields is None else frozenset(fields)
    wanted = None if among is None else _wanted(order.fields, among)

    read = partial(_read, collection, bounded, wanted, order, limit + 1, weigh)
    if reads is None or weigh is not None:
        documents = await read()
    else:
        filtered = bson.encode(bounded, codec_options=collection.codec_options) if bounded else b""
        documents = await reads.share((collection.full_name, view, order.name, limit, among, filtered), read)
    return Page(collection, query, order, documents[:limit], len(documents) > limit, bool(behind), view)


@lru_cache(MAX_SELECTIONS)
def _wanted(always: tuple[str, ...], fields: frozenset[str]) -> Mapping[str, int]:
    return dict.fromkeys((*always, *fields), 1)


def _read(
    collection: AsyncCollection[dict[str, Any]],
    query: dict[str, Any],
    wanted: Mapping[str, int] | None,
    order: Order,
    limit: int,
    weigh: Callable[[dict[str, Any]], None] | None,
) -> Awaitable[list[dict[str, Any]]]:
    """Read the first documents that a query matches."""
    found = collection.find(query, wanted).sort(order.sort).limit(limit)
    return found.to_list() if weigh is None else _weighed(found, weigh)


async def _weighed(found: AsyncCursor[dict[str, Any]], weigh: Callable[[dict[str, Any]], None]) -> list[dict[str, Any]]:
    documents = []
    async with found:
        async for document in found:
            weigh(document)
            documents.append(document)
    return documents
