"""Clients that people use, many at a time: the Python gql client, and those of npm on Node, with npm's audits."""

import asyncio
from contextlib import AsyncExitStack
from hashlib import sha256

import pytest
from gql import GraphQLRequest
from gql.client import AsyncClientSession
from playwright.async_api import Browser

from core.events import Cursor
from tests.acceptance.api import FOLLOW, PROCESS, Task, check_story, follow, http_session, submit, ws_session
from tests.acceptance.programs import pass_on_node
from tests.running_stack import RunningStack

NODE_TIMEOUT_S = 90.0
MANY = 50
FOLLOW_WITHOUT_A_LIBRARY = """
id => new Promise((resolve, reject) => {
  const query = `subscription { taskEvents(id: "${id}") { ... on StateChanged { status } } }`;
  const source = new EventSource(`/graphql?query=${encodeURIComponent(query)}`);
  const statuses = [];
  source.addEventListener("next", ({ data }) => statuses.push(JSON.parse(data).data.taskEvents.status));
  source.addEventListener("complete", () => { source.close(); resolve(statuses); });
  source.addEventListener("error", () => { source.close(); reject(new Error(`broke after ${statuses}`)); });
})
"""


async def submit_and_follow(http: AsyncClientSession, ws: AsyncClientSession, data: str) -> tuple[str, list[Task]]:
    task_id = await submit(http, PROCESS, input={"data": data, "iterations": 40})
    return task_id, await follow(ws, task_id)


@pytest.mark.timeout(240)
async def test_fifty_tasks_at_once_each_tell_their_own_subscriber_the_whole_story(stack: RunningStack) -> None:
    async with AsyncExitStack() as sessions:
        http = await sessions.enter_async_context(http_session(stack.url))
        sockets = [await sessions.enter_async_context(ws_session(stack.ws_url)) for _ in range(MANY)]
        stories = await asyncio.gather(
            *(submit_and_follow(http, socket, f"task {number}") for number, socket in enumerate(sockets))
        )
    assert len({task_id for task_id, _ in stories}) == MANY
    for number, (task_id, told) in enumerate(stories):
        check_story(told)
        assert {(task["id"], task["kind"]) for task in told} == {(task_id, "processData")}
        snapshot, end = told[0], told[-1]
        assert Cursor.parse(snapshot["cursor"]) >= Cursor(1, 1)
        assert (end["status"], end["progress"]["current"]) == ("SUCCEEDED", 40)
        digest = f"task {number}".encode()
        for _ in range(end["result"]["rounds"]):
            digest = sha256(digest).digest()
        assert end["result"]["processedItems"][0]["digest"] == digest.hex()


async def test_subscribers_of_one_task_on_one_socket_all_hear_its_end(stack: RunningStack) -> None:
    async with http_session(stack.url) as http, ws_session(stack.ws_url) as ws:
        task_id = await submit(http, PROCESS, input={"data": "shared", "iterations": 200})
        stories = await asyncio.gather(*(follow(ws, task_id) for _ in range(10)))
    for told in stories:
        check_story(told)
        assert told[-1] == stories[0][-1]


async def test_late_subscriber_gets_the_end_at_once_and_nothing_else(stack: RunningStack) -> None:
    async with http_session(stack.url) as http, ws_session(stack.ws_url) as ws:
        task_id, told = await submit_and_follow(http, ws, "late")
        late = await follow(ws, task_id)
    assert [{**task, "delivery": None} for task in late] == [{**told[-1], "delivery": None}]


async def test_subscriber_that_comes_back_goes_on_from_where_the_task_stands(stack: RunningStack) -> None:
    async with http_session(stack.url) as http:
        task_id = await submit(http, PROCESS, input={"data": "back", "iterations": 1500})
        async with ws_session(stack.ws_url) as first:
            before = await _follow_until_progress(first, task_id)
        async with ws_session(stack.ws_url) as second:
            after = await follow(second, task_id)
    check_story(after)
    assert Cursor.parse(after[0]["cursor"]) >= Cursor.parse(before[-1]["cursor"])
    assert after[0]["progress"]["current"] >= before[-1]["progress"]["current"] > 0


async def _follow_until_progress(session: AsyncClientSession, task_id: str) -> list[Task]:
    told: list[Task] = []
    stream = session.subscribe(GraphQLRequest(FOLLOW, variable_values={"id": task_id}))
    async for data in stream:
        told.append(data["taskProgress"])
        if told[-1]["progress"]["current"] > 0:
            break
    await stream.aclose()
    return told


async def test_browser_follows_a_task_without_a_library(stack: RunningStack, browser: Browser) -> None:
    async with http_session(stack.url) as http:
        task_id = await submit(http, PROCESS, input={"data": "browser", "iterations": 200})
    page = await browser.new_page()
    await page.goto(f"{stack.url}/board")
    statuses = [status for status in await page.evaluate(FOLLOW_WITHOUT_A_LIBRARY, task_id) if status]
    assert (statuses[0], statuses[-1]) == ("PENDING", "SUCCEEDED")


@pytest.mark.parametrize("file", ["audits.test.mjs", "clients.test.mjs"])
async def test_on_node(stack: RunningStack, file: str) -> None:
    await pass_on_node(file, NODE_TIMEOUT_S, HEADWAY_URL=stack.url)
