"""The kind exportItems against a real MongoDB-protocol server."""

import asyncio
import json
import threading
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from core import files, gridfs
from core.clock import utc_now
from core.documents import Item
from core.file_document import File
from core.ids import new_id
from core.item_filter import ItemFilter, MetadataEquals
from jobs.exports import csv_rows
from jobs.kinds import PermanentError
from jobs.kinds import export_items as kind_module
from jobs.kinds.export_items import ExportFormat, ExportItemsInput, ExportItemsResult, export_items
from jobs.kinds.import_items import ImportFormat, ImportItemsInput, import_items
from tests.integration.kinds.test_import_items import DurableContext, WorkerDied, counts

pytestmark = pytest.mark.usefixtures("mongo")
ITEMS: list[dict[str, Any]] = [
    {"name": "Pencil", "description": 'Soft, "2B"', "metadata": {"price": 0.5, "tags": ["wood", "grey"], "stock": 7}},
    {"name": "Pen", "metadata": {"colour": "blue\nor black", "price": 1.25, "refill": None, "new": True}},
    {"name": "Ünïcode ✏", "description": "", "metadata": {}},
    {"name": "Eraser", "metadata": {"size": {"mm": [10, 20]}, "big": 2**53, "tiny": 1e-7}},
]


@dataclass
class Context(DurableContext):
    """A context that keeps what is said."""

    said: list[str] = field(default_factory=list)

    def log(self, text: str) -> None:
        self.said.append(text)


async def put_items(*values: dict[str, Any]) -> None:
    await Item.insert_many([Item(**each) for each in values or ITEMS])


async def export(chosen: ExportFormat, context: Context | None = None, **conditions: Any) -> ExportItemsResult:
    wanted = ItemFilter(**conditions) if conditions else None
    return await export_items(context or Context(), ExportItemsInput(filter=wanted, format=chosen))


async def text_of(result: ExportItemsResult) -> str:
    return b"".join([piece async for piece in gridfs.read(File, result.file_id)]).decode()


async def what_is_left() -> tuple[int, int]:
    """Return how many file documents and chunks there are."""
    return await File.count(), await gridfs.chunks(File).count_documents({})


async def test_csv_has_a_column_for_each_name_and_a_row_for_each_item() -> None:
    await put_items()
    context = Context()
    result = await export(ExportFormat.CSV, context)
    text = await text_of(result)
    assert text == (
        "name,description,big,colour,new,price,refill,size,stock,tags,tiny\r\n"
        'Pencil,"Soft, ""2B""",,,,0.5,,,7,"[""wood"",""grey""]",\r\n'
        'Pen,,,"blue\nor black",true,1.25,,,,,\r\n'
        "Ünïcode ✏,,,,,,,,,,\r\n"
        'Eraser,,9007199254740992,,,,,"{""mm"":[10,20]}",,,1e-7\r\n'
    )
    assert (result.rows, result.bytes, result.url) == (4, len(text.encode()), f"/files/{result.file_id}")
    assert timedelta(hours=23) < result.expires_at - utc_now() <= files.KEPT_FOR
    assert context.reports[0] == (0, 4)
    assert context.reports[-1] == (4, 4)


async def test_ndjson_is_one_object_a_line_with_every_value_as_it_is() -> None:
    await put_items()
    rows = [json.loads(line) for line in (await text_of(await export(ExportFormat.NDJSON))).splitlines()]
    assert rows == [
        {"name": each["name"], "description": each.get("description"), **each["metadata"]} for each in ITEMS
    ]


@pytest.mark.parametrize("chosen", list(ExportFormat))
async def test_import_of_an_export_changes_nothing(chosen: ExportFormat) -> None:
    plain = {"price": 0.5, "note": 'two\r\nlines, "quoted"', "code": "007", "count": -3}
    await put_items({"name": "a", "description": "d", "metadata": plain}, {"name": "b", "metadata": {"other": "x"}})
    before = [item.model_dump(exclude={"updated_at"}) for item in await Item.find_all().sort("_id").to_list()]
    text = await text_of(await export(chosen))
    result = await import_items(DurableContext(), ImportItemsInput(format=ImportFormat[chosen.name], content=text))
    assert counts(result) == (0, 2, 0)
    assert [item.model_dump(exclude={"updated_at"}) for item in await Item.find_all().sort("_id").to_list()] == before


async def test_filter_decides_which_items_are_in_the_file() -> None:
    await put_items()
    assert (await export(ExportFormat.CSV, name_prefix="Pen")).rows == 2
    price = MetadataEquals(path="price", value=1.25)
    one = await export(ExportFormat.CSV, name_prefix="Pen", metadata=[price])
    assert (await text_of(one)).splitlines()[0] == "name,description,colour,new,price,refill"
    none = await export(ExportFormat.CSV, created_from=utc_now() + timedelta(hours=1))
    assert (none.rows, await text_of(none)) == (0, "name,description\r\n")
    empty = await export(ExportFormat.NDJSON, name_contains="nothing has this")
    assert (empty.rows, empty.bytes, await text_of(empty)) == (0, 0, "")


async def test_what_has_no_place_in_the_file_is_left_out_and_told() -> None:
    await put_items({"name": "a", "metadata": {"name": "hidden", "kept": 1}}, {"name": "b"})
    for chosen in ExportFormat:
        context = Context()
        assert "hidden" not in await text_of(await export(chosen, context))
        assert context.said == ["Left out what the metadata of 1 items calls name or description"]


async def test_too_many_columns_fail_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kind_module, "MAX_COLUMNS", 3)
    await put_items()
    with pytest.raises(PermanentError, match="NDJSON takes more") as raised:
        await export(ExportFormat.CSV)
    assert raised.value.code == "TOO_MANY_COLUMNS"
    assert (await export(ExportFormat.NDJSON)).rows == 4


class DiesAtProgress(Context):
    """A context whose worker is killed when so many items are written: nothing cleans up behind it."""

    def progress(self, current: int, total: int | None = None, message: str | None = None) -> None:
        super().progress(current, total, message)
        if current:
            raise WorkerDied


async def test_attempt_after_a_killed_worker_leaves_one_file_and_it_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kind_module, "BATCH_ITEMS", 2)
    monkeypatch.setattr(gridfs, "CHUNK_BYTES", 40)
    await put_items()
    first = DiesAtProgress()
    with monkeypatch.context() as patch:
        patch.setattr(gridfs, "_drop_what_came", _nothing)
        with pytest.raises(WorkerDied):
            await export(ExportFormat.NDJSON, first)
    assert await what_is_left() > (1, 0)
    assert await files.sweep(utc_now()) == 0
    result = await export(ExportFormat.NDJSON, Context(first.task_id, attempt=2))
    assert (await text_of(result)).count("\n") == result.rows == 4
    assert await files.sweep(utc_now()) == 1
    assert await what_is_left() == (1, -(-result.bytes // 40))


async def _nothing(*_: object) -> None:
    """What a killed worker does."""


async def test_what_a_killed_worker_left_is_swept_though_nobody_tries_again() -> None:
    task_id, written = new_id(), asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"x" * gridfs.CHUNK_BYTES
        written.set()
        await asyncio.Event().wait()

    writing = asyncio.create_task(files.store(task_id, 1, "x.csv", "text/csv", pieces()))
    await written.wait()
    assert await what_is_left() == (1, 1)
    assert await files.sweep(utc_now() + files.UNFINISHED_FOR + timedelta(seconds=1)) == 1
    assert await what_is_left() == (0, 0)
    writing.cancel()
    with suppress(asyncio.CancelledError):
        await writing


async def test_cancelled_attempt_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, begun, over = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    def write_second_batch_slowly(items: list[dict[str, Any]]) -> bytes:
        if items[0]["name"] != ITEMS[0]["name"]:
            loop.call_soon_threadsafe(begun.set)
            over.wait(10)
        return b"x" * gridfs.CHUNK_BYTES

    monkeypatch.setattr(kind_module, "BATCH_ITEMS", 1)
    monkeypatch.setattr(kind_module, "ndjson_rows", write_second_batch_slowly)
    await put_items()
    running = asyncio.create_task(export(ExportFormat.NDJSON))
    await begun.wait()
    assert await what_is_left() == (1, 1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    over.set()
    assert await what_is_left() == (0, 0)


@pytest.mark.parametrize("is_swept", [False, True])
async def test_attempt_that_lost_its_task_stops_and_leaves_nothing(is_swept: bool) -> None:
    task_id, later = new_id(), []

    async def overtaken() -> AsyncIterator[bytes]:
        yield b"x" * gridfs.CHUNK_BYTES
        later.append(await files.store(task_id, 2, "x.csv", "text/csv", whole()))
        if is_swept:
            await files.sweep(utc_now())
        yield b"y" * gridfs.CHUNK_BYTES
        yield b"z" * gridfs.CHUNK_BYTES

    async def whole() -> AsyncIterator[bytes]:
        yield b"whole"

    with pytest.raises(files.FileLost):
        await files.store(task_id, 1, "x.csv", "text/csv", overtaken())
    assert await what_is_left() == (1, 1)
    assert [piece async for piece in gridfs.read(File, later[0].id)] == [b"whole"]


async def test_late_attempt_does_not_touch_the_file_of_the_next() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"x"

    task_id = new_id()
    kept = await files.store(task_id, 2, "x.csv", "text/csv", pieces())
    await files.store(task_id, 1, "x.csv", "text/csv", pieces())
    assert await files.sweep(utc_now()) == 0
    assert [piece async for piece in gridfs.read(File, kept.id)] == [b"x"]


async def test_memory_is_that_of_a_batch_and_not_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kind_module, "BATCH_ITEMS", 4)
    await put_items(*({"name": "n", "description": "x" * 50_000} for _ in range(200)))
    tracemalloc.start()
    try:
        result = await export(ExportFormat.NDJSON)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert result.bytes > 9_999_999
    assert peak < 5_000_000, f"{peak:,} bytes"


def test_cell_of_a_spreadsheet_is_the_value_itself() -> None:
    assert csv_rows([{"name": "=1+1", "metadata": {"a": "x"}}], ["a"]) == b"=1+1,,x\r\n"
