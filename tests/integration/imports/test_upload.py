"""Files of more than 1 MB: uploaded into GridFS, named by a task, imported, removed when nobody needs them."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from core import contents
from core.clock import utc_now
from core.connections import MongoClient
from core.documents import Content, Item
from core.errors import NotFound
from core.ids import new_id
from core.settings import Settings
from gateway.transports.limits import EdgeLimits
from jobs.kinds.import_items import ImportFormat, ImportItemsInput, import_items
from tests.integration.imports.conftest import Gateway, serving
from tests.integration.kinds.test_import_items import DurableContext, counts

CSV = {"content-type": "text/csv"}
SUBMIT = "mutation ($input: ImportItemsInput!) { importItems(input: $input) { id input { content contentId } } }"


async def upload(gateway: Gateway, body: Any, **headers: str) -> httpx.Response:
    return await gateway.client.post("/imports/content", content=body, headers={**CSV, **headers})


async def submit(gateway: Gateway, **values: str) -> dict[str, Any]:
    given = {"query": SUBMIT, "variables": {"input": {"format": "CSV", **values}}}
    answer: dict[str, Any] = (await gateway.client.post("/graphql", json=given)).json()
    return answer


async def stored_pieces(gateway: Gateway) -> tuple[int, int]:
    """Return how many file documents and chunks there are."""
    database = Content.get_pymongo_collection().database
    return await Content.count(), await database["contents.chunks"].count_documents({})


async def test_file_of_nine_megabytes_is_imported_from_gridfs(gateway: Gateway) -> None:
    rows, note = 16_100, "é" * 270
    text = "name,note\n" + "".join(f"{'' if number % 20 else f'n{number}'},{note}\n" for number in range(rows))
    assert len(text.encode()) > 8 * 1024 * 1024
    answer = await upload(gateway, text.encode())
    assert answer.status_code == 201, answer.text
    assert answer.json()["bytes"] == len(text.encode())
    content_id = answer.json()["contentId"]

    task = (await submit(gateway, contentId=content_id))["data"]["importItems"]
    assert task["input"] == {"content": None, "contentId": content_id}
    context = DurableContext(UUID(task["id"]))
    input = ImportItemsInput(format=ImportFormat.CSV, content_id=UUID(content_id))
    assert counts(await import_items(context, input)) == (805, 0, 15_295)
    assert context.reports[-1] == (rows, rows)
    item = await Item.find_one({"name": "n16080"})
    assert item is not None
    assert item.metadata == {"note": note}


@pytest.mark.parametrize(
    ("headers", "body", "status", "code"),
    [
        ({"content-type": "text/plain"}, b"name\nx\n", 415, "UNSUPPORTED_MEDIA_TYPE"),
        ({"content-encoding": "gzip"}, b"name\nx\n", 415, "UNSUPPORTED_MEDIA_TYPE"),
        ({}, b"", 400, "BAD_REQUEST"),
        ({}, b"name\n\xff\n", 400, "BAD_REQUEST"),
        ({}, b"name\n\xc3", 400, "BAD_REQUEST"),
        ({}, b"x" * 2_000_001, 413, "PAYLOAD_TOO_LARGE"),
    ],
)
async def test_refused_upload_says_why_and_leaves_nothing(
    gateway: Gateway, headers: dict[str, str], body: bytes, status: int, code: str
) -> None:
    answer = await upload(gateway, body, **headers)
    assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (status, code)
    assert await stored_pieces(gateway) == (0, 0)


@pytest.mark.parametrize(
    "second", [("content-type", "text/plain"), ("content-encoding", "gzip")], ids=["content-type", "content-encoding"]
)
async def test_second_header_of_a_name_is_not_overlooked(gateway: Gateway, second: tuple[str, str]) -> None:
    headers = [("content-type", "text/csv"), ("content-encoding", "identity"), second]
    answer = await gateway.client.post("/imports/content", content=b"name\nx\n", headers=headers)
    assert answer.status_code == 415
    assert await stored_pieces(gateway) == (0, 0)


async def test_body_without_a_length_is_cut_off_at_the_limit(gateway: Gateway) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(30):
            yield b"x" * 100_000

    answer = await upload(gateway, pieces())
    assert answer.status_code == 413
    assert await stored_pieces(gateway) == (0, 0)


async def test_upload_that_breaks_off_leaves_nothing(gateway: Gateway) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    head = (
        "POST /imports/content HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/csv\r\nContent-Length: 1900000\r\n\r\n"
    )
    writer.write(head.encode() + b"x" * 600_000)
    await writer.drain()
    async with asyncio.timeout(10):
        while (await stored_pieces(gateway))[1] < 2:  # noqa: ASYNC110  # A database has no event.
            await asyncio.sleep(0.02)
        writer.transport.abort()
        while await stored_pieces(gateway) != (0, 0):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_uploads_at_a_time_are_bounded(gateway: Gateway) -> None:
    begun = []
    for _ in range(2):
        _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(
            b"POST /imports/content HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/csv\r\nContent-Length: 9\r\n\r\n"
        )
        begun.append(writer)
    async with asyncio.timeout(10):
        while await Content.count() < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    answer = await upload(gateway, b"name\nx\n")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "5")
    for writer in begun:
        writer.transport.abort()


async def test_uploads_of_one_caller_leave_room_for_others(settings: Settings, mongo: MongoClient) -> None:
    limits = EdgeLimits(uploads_per_caller=1, trusted_proxies="127.0.0.1")
    async with serving(settings, limits) as gateway:
        _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        head = "POST /imports/content HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/csv\r\nContent-Length: 9\r\n"
        writer.write(f"{head}X-Forwarded-For: 203.0.113.1\r\n\r\n".encode())
        async with asyncio.timeout(10):
            while await Content.count() < 1:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        same = await upload(gateway, b"name\nx\n", **{"x-forwarded-for": "203.0.113.1"})
        assert (same.status_code, same.headers["retry-after"]) == (429, "5")
        other = await upload(gateway, b"name\nx\n", **{"x-forwarded-for": "203.0.113.2"})
        assert other.status_code == 201
        writer.transport.abort()
        async with asyncio.timeout(10):
            while await Content.count() > 1:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        again = await upload(gateway, b"name\nx\n", **{"x-forwarded-for": "203.0.113.1"})
        assert again.status_code == 201


async def test_content_that_is_not_there_is_bad_input_at_submit(gateway: Gateway) -> None:
    error = (await submit(gateway, contentId=str(new_id())))["errors"][0]
    assert error["extensions"] | {"correlationId": ""} == {
        "code": "BAD_USER_INPUT",
        "field": "input.contentId",
        "expected": "the id of a content that you uploaded within the last hour",
        "correlationId": "",
    }


@pytest.mark.usefixtures("gateway")
async def test_content_of_another_owner_is_not_there() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"name\nx\n"

    content = await contents.store("someone", pieces())
    with pytest.raises(NotFound):
        await contents.claim(content.id, "another")


async def test_columns_of_an_uploaded_file_are_checked_at_submit(gateway: Gateway) -> None:
    content_id = (await upload(gateway, b"name,price\nx,1\n")).json()["contentId"]
    error = (await submit(gateway, contentId=content_id, keyField="code"))["errors"][0]
    assert error["extensions"]["field"] == "input.keyField"
    content_id = (await upload(gateway, b"title\nx\n")).json()["contentId"]
    error = (await submit(gateway, contentId=content_id))["errors"][0]
    assert error["extensions"]["field"] == "input.contentId"


async def test_sweep_removes_what_no_task_names_and_keeps_the_rest(gateway: Gateway) -> None:
    unused = (await upload(gateway, b"name\nx\n")).json()["contentId"]
    used = (await upload(gateway, b"name\ny\n")).json()["contentId"]
    assert "errors" not in await submit(gateway, contentId=used)
    assert await contents.sweep(utc_now()) == 0
    assert await stored_pieces(gateway) == (2, 2)
    later = utc_now() + contents.UNUSED_FOR + timedelta(minutes=1)
    assert await contents.sweep(later) == 1
    assert [str(content.id) for content in await Content.find_all().to_list()] == [used] != [unused]
    assert await stored_pieces(gateway) == (1, 1)


async def test_content_that_is_gone_fails_the_task_for_good(gateway: Gateway) -> None:
    input = ImportItemsInput(format=ImportFormat.CSV, content_id=new_id())
    with pytest.raises(Exception, match="no longer there") as raised:
        await import_items(DurableContext(), input)
    assert getattr(raised.value, "code", "") == "CONTENT_GONE"


async def test_contents_that_nobody_uses_are_bounded(settings: Settings, mongo: MongoClient) -> None:
    async with serving(settings, EdgeLimits(max_import_bytes=1_000)) as gateway:
        answers = [await upload(gateway, b"name\nx\n") for _ in range(101)]
        assert [answer.status_code for answer in answers] == [201] * 100 + [429]
        kept = answers[0].json()["contentId"]

        refused = await submit(gateway, contentId=kept, keyField="no column")
        assert refused["errors"][0]["extensions"]["field"] == "input.keyField"
        assert (await upload(gateway, b"name\nx\n")).status_code == 429

        assert "errors" not in await submit(gateway, contentId=kept)
        assert (await upload(gateway, b"name\nx\n")).status_code == 201
        assert (await upload(gateway, b"name\nx\n")).status_code == 429


async def test_content_of_a_failed_submit_can_be_submitted_again_and_is_swept_otherwise(gateway: Gateway) -> None:
    content_id = (await upload(gateway, b"name,price\nx,1\n")).json()["contentId"]
    assert "errors" in await submit(gateway, contentId=content_id, keyField="code")
    assert "errors" not in await submit(gateway, contentId=content_id, keyField="price")
    left = (await upload(gateway, b"name,price\nx,1\n")).json()["contentId"]
    assert "errors" in await submit(gateway, contentId=left, keyField="code")
    assert await contents.sweep(utc_now() + contents.UNUSED_FOR + timedelta(minutes=1)) == 1
    assert [str(content.id) for content in await Content.find_all().to_list()] == [content_id]
