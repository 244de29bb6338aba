"""A whole stack behind nginx: the pages pass its policy, followers stay connected, a dead gateway costs no query."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from playwright.async_api import Browser, expect

from tests.acceptance.api import PROCESS, check_story, follow, http_session, submit, ws_session
from tests.acceptance.test_graphiql import TASK_MS, Explorer
from tests.running_stack import RunningStack, start_stack

READ = {"query": "{ items(first: 5) { nodes { id } } }"}
READERS = 4
READS = 60
KILL_AFTER = 60


@pytest.fixture(scope="module")
def edge_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """Three gateways behind nginx, which these tests may kill."""
    stack = start_stack(tmp_path_factory.mktemp("edge") / "data", "--gateways", "3")
    yield stack
    assert stack.stop() == 0, stack.said()


@pytest.fixture
async def explorer(browser: Browser, edge_stack: RunningStack) -> AsyncIterator[Explorer]:
    """GraphiQL through nginx."""
    page = await browser.new_page(viewport={"width": 1400, "height": 900})
    explorer = Explorer(page, edge_stack.url)
    explorer.watch()
    yield explorer
    await page.close()


async def test_graphiql_submits_and_follows_without_breaking_a_policy(explorer: Explorer) -> None:
    async with explorer.page.expect_response(explorer.origin + "/") as page:
        await explorer.open("/")
    headers = (await page.value).headers
    assert "script-src 'self'" in headers["content-security-policy"]
    await explorer.run()
    await expect(explorer.result).to_contain_text('"processData"', timeout=TASK_MS)
    await explorer.show("Follow")
    await explorer.run()
    await expect(explorer.result).to_contain_text('"SUCCEEDED"', timeout=TASK_MS)
    assert explorer.complaints == []


async def test_followers_through_nginx_are_told_of_the_end_once(edge_stack: RunningStack) -> None:
    async with http_session(edge_stack.url) as http, ws_session(edge_stack.ws_url) as ws:
        task_id = await submit(http, PROCESS, input={"data": "edge", "iterations": 400})
        for told in await asyncio.gather(*(follow(ws, task_id) for _ in range(3))):
            check_story(told)


async def test_gateway_killed_under_load_fails_no_query(edge_stack: RunningStack) -> None:
    done: Counter[int] = Counter()

    async def read(client: httpx.AsyncClient) -> None:
        for _ in range(READS):
            response = await client.get("/graphql", params=READ, headers={"Accept": "application/json"})
            assert "errors" not in response.json(), response.text
            done[response.status_code] += 1
            if done.total() == KILL_AFTER:
                os.kill(edge_stack.processes().processes["gateway-2"].pid, signal.SIGKILL)

    async with httpx.AsyncClient(base_url=edge_stack.url, timeout=30) as client:
        await asyncio.gather(*(read(client) for _ in range(READERS)))
    assert done == {200: READERS * READS}
