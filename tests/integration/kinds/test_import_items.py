"""The kind importItems against a real MongoDB-protocol server."""

import asyncio
import csv
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import vega_datasets

from core.documents import Item
from core.ids import new_id
from jobs import upserts
from jobs.kinds import import_items as kind_module
from jobs.kinds.import_items import ImportFormat, ImportItemsInput, ImportItemsResult, import_items

AIRPORTS = Path(vega_datasets.__file__).parent / "_data" / "airports.csv"
pytestmark = pytest.mark.usefixtures("mongo")


class WorkerDied(BaseException):
    """The attempt ends here, as if its process had been killed."""


@dataclass
class DurableContext:
    """A context that keeps checkpoints as the worker does, and dies before the checkpoint numbered `dies_at`."""

    task_id: UUID = field(default_factory=new_id)
    attempt: int = 1
    state: Any = None
    dies_at: int | None = None
    reports: list[tuple[int, int | None]] = field(default_factory=list)
    checkpoints: int = 0

    def progress(self, current: int, total: int | None = None, message: str | None = None) -> None:
        self.reports.append((current, total))

    def log(self, text: str) -> None:
        raise AssertionError("importItems has nothing to say")

    async def checkpoint(self, state: Any) -> None:
        self.checkpoints += 1
        if self.checkpoints == self.dies_at:
            raise WorkerDied
        self.state = json.loads(json.dumps(state))


def csv_input(content: str, key_field: str = "name") -> ImportItemsInput:
    return ImportItemsInput(format=ImportFormat.CSV, content=content, key_field=key_field)


def ndjson_input(rows: Iterable[Any], key_field: str = "name") -> ImportItemsInput:
    content = "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows)
    return ImportItemsInput(format=ImportFormat.NDJSON, content=content, key_field=key_field)


async def run(input: ImportItemsInput) -> ImportItemsResult:
    return await import_items(DurableContext(), input)


async def run_again(first: DurableContext, input: ImportItemsInput) -> ImportItemsResult:
    """Run the next attempt of the same task, from its latest checkpoint."""
    return await import_items(DurableContext(first.task_id, first.attempt + 1, first.state), input)


def counts(result: ImportItemsResult) -> tuple[int, int, int]:
    return result.inserted, result.updated, result.rejected_total


async def items_by(name: str) -> dict[Any, Item]:
    items = await Item.find_all().to_list()
    return {item.name if name == "name" else item.metadata[name]: item for item in items}


async def test_every_airport_arrives_unchanged_and_a_second_import_only_updates() -> None:
    content = AIRPORTS.read_text(encoding="utf-8")
    context = DurableContext()
    result = await import_items(context, csv_input(content, "iata"))
    assert counts(result) == (3376, 0, 0)
    assert context.reports[0] == (0, 3376)
    assert context.reports[-1] == (3376, 3376)
    assert [done for done, _ in context.reports] == sorted(done for done, _ in context.reports)

    stored = await items_by("iata")
    rows = list(csv.DictReader(content.splitlines()))
    assert len(rows) == len(stored) == await Item.count() == 3376
    for row in rows:
        item = stored[row["iata"]]
        numbers = {column: float(row.pop(column)) for column in ("latitude", "longitude")}
        assert item.name == row.pop("name")
        assert item.metadata == {**row, **numbers}
    in_file_order = sorted(stored.values(), key=lambda item: item.id)
    assert [item.metadata["iata"] for item in in_file_order] == [row["iata"] for row in rows]

    assert counts(await run(csv_input(content, "iata"))) == (0, 3376, 0)
    again = await items_by("iata")
    assert again.keys() == stored.keys()
    for iata, item in stored.items():
        assert again[iata].model_dump(exclude={"updated_at"}) == item.model_dump(exclude={"updated_at"})


@pytest.mark.parametrize("dies_at", [1, 2, 3])
async def test_bulk_repeated_after_a_death_is_counted_once(dies_at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kind_module, "BULK_ROWS", 4)
    await run(csv_input("name,v\na,0\nh,0\n"))
    content = "name,v\n" + "".join(f"{name},{n}\n" for n, name in enumerate("abcdbfghijkb", 1)) + ",1\n"
    first = DurableContext(dies_at=dies_at)
    with pytest.raises(WorkerDied):
        await import_items(first, csv_input(content))
    result = await run_again(first, csv_input(content))
    assert counts(result) == (8, 4, 1)
    assert {name: item.metadata["v"] for name, item in (await items_by("name")).items()} == {
        **{name: n for n, name in enumerate("abcdbfghijkb", 1)},
    }
    assert await Item.count() == 10


async def test_bulk_that_was_written_in_part_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    content = "name,v\n" + "".join(f"n{n},{n}\n" for n in range(20))
    monkeypatch.setattr(kind_module, "BULK_ROWS", 7)
    first = DurableContext(dies_at=1)
    with pytest.raises(WorkerDied):
        await import_items(first, csv_input(content))
    assert await Item.count() == 7
    monkeypatch.setattr(kind_module, "BULK_ROWS", 500)
    assert counts(await run_again(first, csv_input(content))) == (20, 0, 0)
    assert await Item.count() == 20


async def test_attempt_that_lost_its_task_inserts_nothing_twice() -> None:
    content = "name,v\n" + "".join(f"n{n},{n}\n" for n in range(600))
    task_id = new_id()
    await asyncio.gather(*(import_items(DurableContext(task_id), csv_input(content)) for _ in range(2)))
    assert await Item.count() == 600


async def test_later_row_of_a_key_updates_what_the_earlier_made() -> None:
    result = await run(ndjson_input([{"name": "a", "v": 1, "w": 1}, {"name": "b"}, {"name": "a", "v": 2}]))
    assert counts(result) == (2, 1, 0)
    assert (await items_by("name"))["a"].metadata == {"v": 2, "w": 1}


async def test_update_replaces_what_the_row_names_and_keeps_the_rest() -> None:
    old = await Item(name="Old", description="kept", metadata={"code": "X", "a": 1, "b": {"c": 1}}).insert()
    await run(csv_input("code,name,description,b\nX,New,,7\n", "code"))
    item = await Item.get(old.id)
    assert item is not None
    assert (item.name, item.description, item.metadata) == ("New", "kept", {"code": "X", "a": 1, "b": 7})
    assert item.created_at == old.created_at
    assert item.updated_at > old.updated_at
    await run(ndjson_input([{"name": "New", "description": None, "code": "X", "a": None}], "code"))
    item = await Item.get(old.id)
    assert item is not None
    assert (item.description, item.metadata) == (None, {"code": "X", "a": None, "b": 7})


async def test_of_several_matches_the_oldest_is_updated() -> None:
    older = await Item(name="twin").insert()
    newer = await Item(name="twin").insert()
    assert counts(await run(csv_input("name,v\ntwin,1\n"))) == (0, 1, 0)
    items = {item.id: item.metadata for item in await Item.find_all().to_list()}
    assert items == {older.id: {"v": 1}, newer.id: {}}


async def test_list_that_contains_the_key_is_no_match() -> None:
    await Item(name="list", metadata={"code": ["X"]}).insert()
    assert counts(await run(ndjson_input([{"name": "n", "code": "X"}], "code"))) == (1, 0, 0)


async def test_number_and_text_are_different_keys() -> None:
    rows = [{"name": "a", "code": 7}, {"name": "b", "code": "7"}, {"name": "c", "code": 7.0}]
    assert counts(await run(ndjson_input(rows, "code"))) == (2, 1, 0)
    assert {key: item.name for key, item in (await items_by("code")).items()} == {7: "c", "7": "b"}


async def test_bad_rows_are_named_by_line_and_stop_no_other() -> None:
    rows: list[Any] = [
        {"name": "good", "code": 1},
        '{"name": "broken"',
        {"name": 5, "code": 2},
        {"name": "", "code": 2},
        {"name": "x" * 201, "code": 2},
        {"name": "no key"},
        {"name": "bool key", "code": True},
        {"name": "null key", "code": None},
        {"name": "deep", "code": 3, "v": [[[[[[[[]]]]]]]]},
        {"name": "dollar", "code": 4, "v": {"$set": 1}},
        {"name": "dot", "code": 5, "a.b": 1},
        {"name": "big", "code": 6, "v": "x" * 17_000},
        {"name": "huge", "code": 2**70},
        {"name": "text", "description": ["no"], "code": 7},
        '{"name": "surrogate \\ud800", "code": 8}',
        {"name": "also good", "code": 9},
    ]
    result = await run(ndjson_input(rows, "code"))
    assert counts(result) == (2, 0, 14)
    assert [row.line for row in result.rejected] == list(range(2, 16))
    assert all(len(row.reason) <= 300 and "expected" in row.reason for row in result.rejected)
    assert "200 characters" in result.rejected[3].reason
    assert set(await items_by("name")) == {"good", "also good"}


async def test_only_the_first_hundred_rejections_are_kept_in_order_and_all_are_counted() -> None:
    rows = [{"name": ""} if n % 2 else {"name": f"n{n}"} for n in range(1000)]
    result = await run(ndjson_input(rows))
    assert counts(result) == (500, 0, 500)
    assert [row.line for row in result.rejected] == list(range(2, 202, 2))


async def test_update_that_would_outgrow_the_limit_is_rejected_in_its_place() -> None:
    await Item(name="full", metadata={"a": "x" * 10_000}).insert()
    result = await run(ndjson_input([{"name": "full", "b": "x" * 10_000}, {"name": ""}, {"name": "other"}]))
    assert counts(result) == (1, 0, 2)
    assert [row.line for row in result.rejected] == [1, 2]
    assert "16,384 bytes" in result.rejected[0].reason
    assert (await items_by("name"))["full"].metadata == {"a": "x" * 10_000}


async def test_file_with_a_header_only_is_done_at_once() -> None:
    context = DurableContext()
    assert counts(await import_items(context, csv_input("name,a\n"))) == (0, 0, 0)
    assert context.reports == [(0, 0)]


async def test_key_gets_an_index_once_and_too_many_keys_get_none(monkeypatch: pytest.MonkeyPatch) -> None:
    before = len(await Item.get_pymongo_collection().index_information())
    for _ in range(2):
        await run(csv_input("name,iata\na,X\n", "iata"))
    await run(csv_input("name,iata\na,X\n"))
    assert len(await Item.get_pymongo_collection().index_information()) == before + 1
    monkeypatch.setattr(upserts, "MAX_INDEXES", before + 1)
    assert counts(await run(csv_input("name,icao\na,X\n", "icao"))) == (1, 0, 0)
    assert len(await Item.get_pymongo_collection().index_information()) == before + 1
