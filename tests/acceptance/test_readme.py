"""What the README and docs/clients.md tell people to paste works as it stands there, on a real stack."""

import asyncio
import os
import re
import sys
from pathlib import Path

from gql import GraphQLRequest

from gateway.identity.settings import IdentitySettings
from gateway.transports.limits import EdgeLimits
from tests.acceptance.api import execute, http_session, ws_session
from tests.acceptance.programs import printed_by
from tests.running_stack import RunningStack

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CLIENTS = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
COMMAND_TIMEOUT_S = 90.0


def blocks(language: str, page: str = README) -> list[str]:
    """Return a page's code blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


async def run_script(script: str, url: str) -> str:
    """Run a block as a shell would and return what it printed; it has to succeed."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = ("bash", "-euc", script)
    return await printed_by(*command, cwd=ROOT, within_s=COMMAND_TIMEOUT_S, PATH=path, HEADWAY_URL=url)


async def test_graphql_examples_submit_follow_and_list(stack: RunningStack) -> None:
    mutation, subscription, every_event, query = blocks("graphql")
    async with http_session(stack.url) as http, ws_session(stack.ws_url) as ws:
        task_id = (await execute(http, mutation))["processData"]["id"]
        assert "TASK-ID" in subscription
        request = GraphQLRequest(subscription.replace("TASK-ID", task_id))
        told = [data["taskProgress"] async for data in ws.subscribe(request)]
        assert told[-1]["status"] == "SUCCEEDED"
        assert told[-1]["progress"] == {"current": 500, "total": 500, "percent": 100.0}
        assert told[-1]["result"]["totalProcessed"] == 500
        request = GraphQLRequest(every_event.replace("TASK-ID", task_id))
        events = [data["taskEvents"] async for data in ws.subscribe(request)]
        assert (events[0]["cursor"], events[-1]["status"]) == ("1-1", "SUCCEEDED")
        listed = (await execute(http, query))["tasks"]["nodes"]
    assert task_id in {task["id"] for task in listed}


async def test_command_line_examples_run_to_success(stack: RunningStack) -> None:
    [script] = [block for block in blocks("sh") if "headway submit" in block]
    said = await run_script(script, stack.url)
    assert '"totalProcessed": 50' in said
    assert '"rejectedTotal": 0' in said  # Other tests may have imported the same names: then these were updated.


async def test_curl_follows_a_task_by_an_event_stream(stack: RunningStack) -> None:
    [script] = blocks("sh", CLIENTS)
    said = await run_script(script, stack.url)
    assert said.startswith(":\n\nevent: next\n")
    statuses = re.findall(r'^data: .*"status":"([A-Z]+)"', said, re.MULTILINE)
    assert statuses[-1] == "SUCCEEDED"
    assert said.endswith("event: complete\ndata:\n\n")


async def test_kind_of_your_own_becomes_a_mutation(tmp_path: Path) -> None:
    [source] = blocks("python")
    (tmp_path / "count_words.py").write_text(source, encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from gateway.schema import build_schema; from jobs.kinds import load_kinds\n"
        "print(build_schema(load_kinds(['count_words'])).as_str())",
        cwd=ROOT,
        env={"PYTHONPATH": os.pathsep.join((str(tmp_path), str(ROOT)))},
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(COMMAND_TIMEOUT_S):
        schema, _ = await process.communicate()
    assert process.returncode == 0
    assert "type CountWordsTask implements Task & Node" in schema.decode()
    assert re.search(r"^  countWords\($", schema.decode(), re.MULTILINE)


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_settings_that_are_named_exist() -> None:
    named = re.findall(r"`HEADWAY_([A-Z_]+)`", CLIENTS)
    known = EdgeLimits.model_fields | IdentitySettings.model_fields
    assert named
    assert [name for name in named if name.lower() not in known] == []
