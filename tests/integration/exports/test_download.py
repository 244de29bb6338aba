"""`GET /files/{id}`: the headers, the bytes, and all that is not there."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta

import httpx
import pytest

from core import files, gridfs
from core.clock import utc_now
from core.connections import MongoClient
from core.documents import Task
from core.file_document import File
from core.ids import new_id
from core.settings import Settings
from core.states import TaskStatus
from gateway.transports.limits import EdgeLimits
from tests.integration.exports.stored import stored_file
from tests.integration.imports.conftest import Gateway, serving

LARGE = bytes(range(256)) * 64 * 1024
"""16 MB: more than what two sockets of this machine hold between them."""


async def test_file_comes_whole_with_headers_that_keep_it_a_file(gateway: Gateway) -> None:
    content = b"name,price\r\n" + b"Pencil,0.5\r\n" * 60_000
    file = await stored_file(content, filename="items-1.csv")
    answer = await gateway.client.get(f"/files/{file.id}")
    assert (answer.status_code, answer.content) == (200, content)
    expected = {
        "content-type": "text/csv; charset=utf-8",
        "content-length": str(len(content)),
        "content-disposition": 'attachment; filename="items-1.csv"',
        "etag": f'"{file.id}"',
        "cache-control": "private, no-store",
        "x-content-type-options": "nosniff",
        "content-security-policy": "default-src 'none'; sandbox; frame-ancestors 'none'",
        "cross-origin-resource-policy": "same-origin",
    }
    assert {name: answer.headers.get(name) for name in expected} == expected
    head = await gateway.client.head(f"/files/{file.id}")
    assert (head.status_code, head.content) == (200, b"")
    assert {name: head.headers.get(name) for name in expected} == expected
    known = await gateway.client.get(f"/files/{file.id}", headers={"if-none-match": f'W/"x", "{file.id}"'})
    assert (known.status_code, known.content, known.headers["etag"]) == (304, b"", expected["etag"])


@pytest.mark.parametrize(
    ("filename", "sent"),
    [
        ('a"; filename="b.exe', "a_filename_b.exe"),
        ("../../etc/passwd\r\nX-Evil: 1", "_.._etc_passwd_X-Evil_1"),
        ("...", "file"),
        ("Übersicht.csv", "_bersicht.csv"),
        ("x" * 300 + ".csv", "x" * 96 + ".csv"),
    ],
)
async def test_name_of_a_file_is_harmless_in_a_header(gateway: Gateway, filename: str, sent: str) -> None:
    file = await stored_file(filename=filename)
    answer = await gateway.client.get(f"/files/{file.id}")
    assert answer.headers["content-disposition"] == f'attachment; filename="{sent}"'
    assert "x-evil" not in answer.headers


async def test_what_is_not_there_not_yet_or_no_longer_is_all_the_same(gateway: Gateway) -> None:
    begun, failed = await stored_file(status=TaskStatus.RUNNING), await stored_file(status=TaskStatus.FAILED)
    unnamed, expired, orphan = await stored_file(), await stored_file(), await stored_file()
    other = {"$set": {"result.file_id": str(new_id())}}
    await Task.get_pymongo_collection().update_one({"_id": unnamed.metadata.task_id}, other)
    await Task.get_pymongo_collection().delete_one({"_id": orphan.metadata.task_id})
    await File.get_pymongo_collection().update_one({"_id": expired.id}, {"$set": {"metadata.kept_until": utc_now()}})
    for ident in (*(file.id for file in (begun, failed, unnamed, expired, orphan)), new_id(), "x", "..%2fetc"):
        answer = await gateway.client.get(f"/files/{ident}")
        error = answer.json()["errors"][0]
        assert (answer.status_code, error["extensions"]["code"]) == (404, "NOT_FOUND"), ident
        assert error["message"].startswith("There is no"), ident
    assert (await gateway.client.post(f"/files/{begun.id}")).status_code == 405


async def test_file_is_gone_with_all_its_chunks_once_it_was_swept(gateway: Gateway) -> None:
    file = await stored_file(b"x" * 600_000)
    for later in (files.UNFINISHED_FOR, files.KEPT_FOR - timedelta(minutes=1)):
        assert await files.sweep(utc_now() + later) == 0
        assert (await gateway.client.get(f"/files/{file.id}")).status_code == 200
    assert await files.sweep(utc_now() + files.KEPT_FOR) == 1
    assert (await File.count(), await gridfs.chunks(File).count_documents({})) == (0, 0)
    assert (await gateway.client.get(f"/files/{file.id}")).status_code == 404


@pytest.mark.usefixtures("gateway")
async def test_whole_file_goes_soon_where_its_task_did_not_succeed_with_it() -> None:
    later = utc_now() + files.UNFINISHED_FOR + timedelta(minutes=1)
    running = await stored_file(status=TaskStatus.RUNNING)
    assert await files.sweep(later) == 0
    for status in (TaskStatus.CANCELLED, TaskStatus.RETRYING, TaskStatus.FAILED):
        await stored_file(status=status, names_it=False)
    assert await files.sweep(later) == 3
    assert [file.id for file in await File.find_all().to_list()] == [running.id]


async def test_file_that_goes_meanwhile_breaks_off_and_is_not_taken_for_whole(gateway: Gateway) -> None:
    file = await stored_file(LARGE)
    with pytest.raises(httpx.RemoteProtocolError):  # noqa: PT012  # The head comes, and the end doesn't.
        async with gateway.client.stream("GET", f"/files/{file.id}") as answer:
            assert answer.headers["content-length"] == str(len(LARGE))
            await gridfs.drop(File, file.id)
            await answer.aread()


async def test_downloads_of_one_caller_leave_room_for_others(settings: Settings, mongo: MongoClient) -> None:
    limits = EdgeLimits(downloads=2, downloads_per_caller=1, trusted_proxies="127.0.0.1")
    async with serving(settings, limits) as gateway, AsyncExitStack() as begun:
        path = f"/files/{(await stored_file(LARGE)).id}"

        async def status(address: str) -> int:
            async with gateway.client.stream("GET", path, headers={"x-forwarded-for": address}) as answer:
                if answer.status_code == 429:
                    assert answer.headers["retry-after"] == "5"
            return answer.status_code

        async def begin(address: str) -> None:
            held = gateway.client.stream("GET", path, headers={"x-forwarded-for": address})
            assert (await begun.enter_async_context(held)).status_code == 200

        await begin("203.0.113.1")
        assert await status("203.0.113.1") == 429
        await begin("203.0.113.2")
        assert await status("203.0.113.3") == 429
        await begun.aclose()
        async with asyncio.timeout(10):
            while await status("203.0.113.1") == 429:  # noqa: ASYNC110  # It has no event.
                await asyncio.sleep(0.02)
