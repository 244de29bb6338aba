"""A whole stack behind nginx: the pages pass its policy, followers stay connected, a dead gateway costs no query."""

import asyncio
import json
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from itertools import pairwise

import httpx
import pytest
from gql import GraphQLRequest
from playwright.async_api import Browser, expect

from tests.acceptance.api import PROCESS, check_story, follow, http_session, submit, ws_session
from tests.acceptance.test_graphiql import TASK_MS, Explorer
from tests.acceptance.test_up import until
from tests.environments import environment_on
from tests.running_stack import RunningStack, start_stack

OPEN_S = int(os.environ.get("HEADWAY_EDGE_S", "8"))
"""How long sockets and streams are held open through nginx; minutes by hand."""
TICK = "mutation ($n: Int!, $options: TaskOptions) { tick(input: {ticks: $n, pauseS: 1}, options: $options) { id } }"
CANCEL = "mutation ($id: ID!) { cancelTask(id: $id) { status } }"
FOLLOW = "subscription ($id: ID!) { taskProgress(id: $id) { status } }"
READ = {"query": "{ items(first: 5) { nodes { id } } }"}
READERS = 4
READS = 60
KILL_AFTER = 60
READS_A_SECOND = 80
"""Of all readers at most: what nginx allows one address is not what is tested there."""


@pytest.fixture(scope="module")
def edge_stack(
    tmp_path_factory: pytest.TempPathFactory, mongo_url: str, redis_url: str, amqp_url: str
) -> Iterator[RunningStack]:
    """Three gateways behind nginx, which these tests may kill."""
    environment = environment_on(mongo_url, redis_url, amqp_url) | {"HEADWAY_KIND_MODULES": "tests.load.kinds"}
    stack = start_stack(tmp_path_factory.mktemp("edge") / "data", "--gateways", "3", env=environment)
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


def test_requests_are_spread_evenly_and_the_log_names_their_client(edge_stack: RunningStack) -> None:
    asked = {f"spread-{number}" for number in range(READS)}
    with httpx.Client(base_url=edge_stack.url, timeout=30) as client:
        for correlation_id in asked:
            client.get("/graphql", params=READ, headers={"X-Request-Id": correlation_id})

    def logged() -> list[dict[str, str]]:
        lines = (edge_stack.data / "logs" / "nginx.log").read_text(encoding="utf-8").splitlines()
        records = (json.loads(line) for line in lines if line.startswith("{"))
        return [record for record in records if record["correlation_id"] in asked]

    until(lambda: len(logged()) == READS)  # nginx writes its lines once a second.
    found = logged()
    gateways = Counter(record["gateway"] for record in found)
    assert len(gateways) == 3
    assert max(gateways.values()) - min(gateways.values()) <= READS / 5, gateways
    assert {record["client"] for record in found} == {"127.0.0.1"}


def longest_pause_s(heard_at: list[float]) -> float:
    """Return the longest time between two moments that follow each other."""
    return max(later - earlier for earlier, later in pairwise(heard_at))


async def by_socket(stack: RunningStack, task_id: str) -> list[float]:
    """Follow to the end over a WebSocket; return when each event came."""
    heard_at: list[float] = []
    async with ws_session(stack.ws_url) as ws:
        request = GraphQLRequest(FOLLOW, variable_values={"id": task_id})
        async for _ in ws.subscribe(request):
            heard_at.append(time.monotonic())
    return heard_at


async def by_stream(stack: RunningStack, task_id: str) -> list[float]:
    """Follow to the end by an event stream; return when each event came."""
    heard_at: list[float] = []
    body = {"query": FOLLOW, "variables": {"id": task_id}}
    headers = {"Accept": "text/event-stream"}
    async with (
        httpx.AsyncClient(base_url=stack.url, timeout=30) as client,
        client.stream("POST", "/graphql", json=body, headers=headers) as answer,
    ):
        async for line in answer.aiter_lines():
            if line == "event: complete":
                return heard_at
            if line.startswith("data: "):
                heard_at.append(time.monotonic())
    raise AssertionError("the stream ended without a word")


async def test_sockets_and_streams_stay_open_and_hold_nothing_back(edge_stack: RunningStack) -> None:
    async with http_session(edge_stack.url) as http:

        async def tick(**options: int) -> str:
            request = GraphQLRequest(TICK, variable_values={"n": OPEN_S, "options": options})
            return str((await http.execute(request))["tick"]["id"])

        busy, silent = await tick(), await tick(delayS=3_600)
        quiet = [asyncio.create_task(follow(edge_stack, silent)) for follow in (by_socket, by_stream)]
        for heard_at in await asyncio.gather(by_socket(edge_stack, busy), by_stream(edge_stack, busy)):
            assert len(heard_at) > OPEN_S
            assert longest_pause_s(heard_at) < 4
        assert not any(task.done() for task in quiet)
        await http.execute(GraphQLRequest(CANCEL, variable_values={"id": silent}))
        for heard_at in await asyncio.gather(*quiet):
            assert len(heard_at) == 2
            assert longest_pause_s(heard_at) > OPEN_S - 1


async def test_gateway_killed_under_load_fails_no_query(edge_stack: RunningStack) -> None:
    done: Counter[int] = Counter()

    async def read(client: httpx.AsyncClient) -> None:
        for _ in range(READS):
            response = await client.get("/graphql", params=READ, headers={"Accept": "application/json"})
            assert "errors" not in response.json(), response.text
            done[response.status_code] += 1
            if done.total() == KILL_AFTER:
                os.kill(edge_stack.processes().processes["gateway-2"].pid, signal.SIGKILL)
            await asyncio.sleep(READERS / READS_A_SECOND)

    async with httpx.AsyncClient(base_url=edge_stack.url, timeout=30) as client:
        await asyncio.gather(*(read(client) for _ in range(READERS)))
    assert done == {200: READERS * READS}
