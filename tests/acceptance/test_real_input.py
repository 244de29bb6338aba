"""Real input through a real stack: every airport, every digest."""

import csv
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import vega_datasets

from tests.acceptance.api import IMPORT, PROCESS, execute, http_session, run_to_end, ws_session
from tests.running_stack import RunningStack

AIRPORTS = Path(vega_datasets.__file__).parent / "_data" / "airports.csv"
PAGE = """
query Page($after: String, $counting: Boolean!) {
  items(first: 100, after: $after, order: OLDEST_FIRST) {
    nodes { id name description metadata }
    pageInfo { hasNextPage endCursor }
    totalCount @include(if: $counting)
  }
}
"""
SEARCH = "query ($filter: ItemFilter!) { items(filter: $filter) { totalCount nodes { name metadata } } }"


async def all_items(stack: RunningStack) -> list[dict[str, Any]]:
    """Page through every item there is, a hundred at a time."""
    items: list[dict[str, Any]] = []
    after, total = None, -1
    async with http_session(stack.url) as http:
        while True:
            page = (await execute(http, PAGE, after=after, counting=after is None))["items"]
            total = page.get("totalCount", total)
            items += page["nodes"]
            if not page["pageInfo"]["hasNextPage"]:
                assert len(items) == total
                return items
            assert len(page["nodes"]) == 100
            after = page["pageInfo"]["endCursor"]


@pytest.mark.timeout(400)
async def test_airports_arrive_by_import_and_come_back_page_by_page(stack: RunningStack) -> None:
    content = AIRPORTS.read_text(encoding="utf-8")
    rows = list(csv.DictReader(content.splitlines()))
    assert len(rows) == 3376
    upload = {"format": "CSV", "content": content, "keyField": "iata"}
    async with http_session(stack.url) as http, ws_session(stack.ws_url) as ws:
        first = await run_to_end(http, ws, IMPORT, input=upload)
        assert first["progress"] == {"current": 3376, "total": 3376, "percent": 100.0}
        assert first["result"] == {"inserted": 3376, "updated": 0, "rejectedTotal": 0, "rejected": []}

        airports = [item for item in await all_items(stack) if "iata" in item["metadata"]]
        assert len({item["id"] for item in airports}) == 3376
        expected = []
        for row in rows:
            numbers = {column: float(row[column]) for column in ("latitude", "longitude")}
            metadata = {**row, **numbers}
            expected.append({"name": metadata.pop("name"), "description": None, "metadata": metadata})
        assert [{name: item[name] for name in ("name", "description", "metadata")} for item in airports] == expected

        head, *lines = content.splitlines()
        alaskan = [line for line, row in zip(lines, rows, strict=True) if row["state"] == "AK"]
        second = await run_to_end(http, ws, IMPORT, input=upload | {"content": "\n".join([head, *alaskan])})
        assert second["result"] == {"inserted": 0, "updated": len(alaskan), "rejectedTotal": 0, "rejected": []}

        found = (await execute(http, SEARCH, filter={"metadata": [{"path": "iata", "value": "ANC"}]}))["items"]
        assert [node["name"] for node in found["nodes"]] == [row["name"] for row in rows if row["iata"] == "ANC"]
        found = (await execute(http, SEARCH, filter={"metadata": [{"path": "state", "value": "AK"}]}))["items"]
        assert found["totalCount"] == len(alaskan) > 100


async def test_a_thousand_digests_are_what_anyone_computes(stack: RunningStack) -> None:
    data = "Zürich, 東京 🛫"
    async with http_session(stack.url) as http, ws_session(stack.ws_url) as ws:
        task = await run_to_end(http, ws, PROCESS, input={"data": data, "iterations": 1000})
    result = task["result"]
    previous = b""
    expected = []
    for index in range(1000):
        previous = previous + data.encode()
        for _ in range(result["rounds"]):
            previous = sha256(previous).digest()
        expected.append({"index": index, "digest": previous.hex()})
    assert result["processedItems"] == expected
    assert result["totalProcessed"] == 1000
    assert task["progress"] == {"current": 1000, "total": 1000, "percent": 100.0}


async def test_bad_rows_are_reported_by_line_beside_the_good_ones(stack: RunningStack) -> None:
    lines = [
        "\ufeffname,description,mark",
        '"Bad rows, 1",Größe,7',
        ",nameless,1",
        "short",
        '"open,x,1',
        "Bad rows 2,,007",
    ]
    content = "\r\n".join(lines)
    async with http_session(stack.url) as http, ws_session(stack.ws_url) as ws:
        result = (await run_to_end(http, ws, IMPORT, input={"format": "CSV", "content": content}))["result"]
        assert (result["inserted"], result["updated"], result["rejectedTotal"]) == (2, 0, 3)
        assert [row["line"] for row in result["rejected"]] == [3, 4, 5]
        found = (await execute(http, SEARCH, filter={"namePrefix": "Bad rows"}))["items"]
    assert {node["name"]: node["metadata"] for node in found["nodes"]} == {
        "Bad rows, 1": {"mark": 7},
        "Bad rows 2": {"mark": "007"},
    }
