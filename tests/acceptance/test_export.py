"""Items exported and fetched by someone who has nothing but the address of a running stack."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from tests.acceptance.api import execute, http_session, run_to_end, ws_session
from tests.acceptance.test_cli import Headway
from tests.running_stack import RunningStack

EXPORT = """
mutation Export($filter: ItemFilter) { exportItems(filter: $filter) { id } }
"""
RESULT = """
query Result($id: ID!) { task(id: $id) { ... on ExportItemsTask { result { fileId url rows bytes expiresAt } } } }
"""
CREATE = "mutation Create($inputs: [CreateItemInput!]!) { createItems(inputs: $inputs) { id } }"
NAMES = [f"exported {number:03}" for number in range(50)]


@pytest.fixture
async def items(stack: RunningStack) -> None:
    """Fifty items, and one that is not meant."""
    inputs = [{"name": name, "metadata": {"number": number, "note": "a, b"}} for number, name in enumerate(NAMES)]
    async with http_session(stack.url) as http:
        await execute(http, CREATE, inputs=[*inputs, {"name": "not exported"}])


@pytest.mark.usefixtures("items")
async def test_export_is_followed_to_a_file_that_anyone_can_open(stack: RunningStack) -> None:
    async with http_session(stack.url) as http, ws_session(stack.ws_url) as ws:
        task = await run_to_end(http, ws, EXPORT, filter={"namePrefix": "exported "})
        result = (await execute(http, RESULT, id=task["id"]))["task"]["result"]
    assert task["progress"]["percent"] == 100
    assert timedelta(0) < datetime.fromisoformat(result["expiresAt"]) - datetime.now(UTC) <= timedelta(days=1)
    async with httpx.AsyncClient(base_url=stack.url) as client:
        answer = await client.get(result["url"])
        assert (await client.get(result["url"] + "0")).status_code == 404
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/csv; charset=utf-8")
    assert answer.headers["content-disposition"].startswith('attachment; filename="items-')
    assert int(answer.headers["content-length"]) == result["bytes"] == len(answer.content)
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert len(rows) == result["rows"]
    assert [row["name"] for row in rows][-50:] == NAMES
    assert rows[-1] == {"name": NAMES[-1], "description": "", "note": "a, b", "number": "49"}


@pytest.mark.usefixtures("items")
def test_command_writes_the_file_that_its_filter_means(stack: RunningStack, tmp_path: Path) -> None:
    headway, file = Headway(tmp_path), tmp_path / "items.ndjson"
    wanted = ("--name-contains", "exported 0", "--metadata", "number=7", "--metadata", "note=a, b")
    done = headway("items", "export", str(file), *wanted, "--url", stack.url)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    assert rows[-1] == {"name": "exported 007", "description": None, "number": 7, "note": "a, b"}
    assert json.loads(done.stdout)["rows"] == len(rows)
    assert [left.name for left in tmp_path.glob("items*")] == ["items.ndjson"]

    wrong = headway("items", "export", str(tmp_path / "nowhere" / "x.csv"), "--url", stack.url)
    assert (wrong.returncode, "can't be written" in wrong.stderr) == (1, True), wrong.stderr
    unclear = headway("items", "export", str(tmp_path / "x"), "--url", stack.url)
    assert unclear.returncode == 2
