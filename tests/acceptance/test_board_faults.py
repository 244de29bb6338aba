"""The board when things go wrong, when they are many, and where the gateway wants to know who asks.

One stack for all of it: two gateways behind nginx that take API keys, and kinds of the tests' own.
"""

import asyncio
import os
import re
import signal
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, expect

from tests.acceptance.board import ANSWER_MS, TASK_MS, Board, visit
from tests.acceptance.test_degradation import away
from tests.running_stack import PROJECT, RunningStack, clean_environment, start_stack

SCENES = 40
MANY = 1_000
MOST_ROWS_IN_PAGE = 60
LOOK_S = 3.0
"""For so long frames are timed while the list is scrolled."""
SUBMIT = "mutation ($inputs: [SubmitTaskInput!]!) { submitTasks(inputs: $inputs) { id total } }"
ONE = "mutation ($kind: String!, $input: JSON!) { submitTask(kind: $kind, input: $input) { id } }"
KEEP_WORDS = """
window.words = [];
new MutationObserver(() => {
  const word = document.querySelector(".badge")?.textContent;
  if (word && word !== words.at(-1)) words.push(word);
}).observe(document, { subtree: true, childList: true, characterData: true });
"""
TIME_FRAMES = """
seconds => new Promise(resolve => {
  const frames = [];
  let last = performance.now();
  const end = last + seconds * 1000;
  const tick = now => {
    frames.push(now - last);
    last = now;
    if (now < end) requestAnimationFrame(tick); else resolve(frames);
  };
  requestAnimationFrame(tick);
})
"""


class KeyedStack:
    """A stack that wants a key, and an administrator's key for it."""

    def __init__(self, running: RunningStack) -> None:
        self.running = running
        environment = clean_environment(running.data.parent) | {"MONGO_URL": running.processes().services["mongodb"]}
        create = ("keys", "create", "--name", "tests", "--owner", "tester", "--role", "admin")
        made = subprocess.run(
            [sys.executable, "-m", "cli", *create],
            cwd=PROJECT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        self.key = made.stdout.strip()

    async def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """Return the data of an answer that has no error."""
        async with httpx.AsyncClient(timeout=60) as client:
            answer = await client.post(
                f"{self.running.url}/graphql",
                json={"query": query, "variables": variables},
                headers={"authorization": f"Bearer {self.key}"},
            )
        told = answer.json()
        assert "errors" not in told, told
        return dict(told["data"])

    async def submit(self, kind: str, **task_input: Any) -> str:
        """Submit a task and return its id."""
        return str((await self.ask(ONE, kind=kind, input=task_input))["submitTask"]["id"])

    async def submit_many(self, count: int, kind: str, **task_input: Any) -> str:
        """Submit a batch of tasks that are all alike and return the batch's id."""
        batch = (await self.ask(SUBMIT, inputs=[{"kind": kind, "input": task_input}] * count))["submitTasks"]
        assert batch["total"] == count
        return str(batch["id"])

    async def count(self, kind: str, status: str) -> int:
        """Return how many tasks of a kind have a status."""
        query = "query ($filter: TaskFilter) { tasks(filter: $filter) { totalCount } }"
        return int((await self.ask(query, filter={"kinds": [kind], "statuses": [status]}))["tasks"]["totalCount"])

    async def gateway_with_a_socket(self) -> int:
        """Return the process id of the gateway that speaks to a browser; only one may."""
        found = []
        processes = self.running.processes().processes
        async with httpx.AsyncClient(timeout=10) as client:
            for role in ("gateway-1", "gateway-2"):
                metrics = (await client.get(f"http://127.0.0.1:{processes[role].port}/metrics")).text
                if (sockets := re.search(r"^headway_open_sockets (\S+)$", metrics, re.MULTILINE)) and float(sockets[1]):
                    found.append(processes[role].pid)
        [pid] = found
        return pid

    async def visit(self, browser: Browser) -> Board:
        """Return a page that is signed in and keeps every word its badge has shown."""
        board = await visit(browser, self.running)
        await board.page.add_init_script(f"sessionStorage.setItem('headway:credential', '{self.key}')")
        await board.page.add_init_script(KEEP_WORDS)
        return board


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyedStack]:
    """Two gateways behind nginx and one worker; tests may kill what they like."""
    running = start_stack(
        tmp_path_factory.mktemp("faults") / "data",
        *("--gateways", "2", "--broker", "direct"),
        env={
            "HEADWAY_AUTH": "keys",
            "HEADWAY_COST_PER_MINUTE": "0",
            "HEADWAY_KIND_MODULES": "tests.acceptance.board_kinds",
            "HEADWAY_WORKER_SLOTS": "40",
        },
    )
    try:
        yield KeyedStack(running)
    finally:
        assert running.stop() == 0, running.said()


async def test_only_a_good_api_key_signs_in_and_it_holds_over_a_reload(browser: Browser, stack: KeyedStack) -> None:
    board = await visit(browser, stack.running)
    page = board.page
    await page.goto(f"{board.origin}/board/submit/encodeVideo")
    for wrong in (None, f"{stack.key[:-4]}AAAA"):
        if wrong is not None:
            await page.get_by_label("API key or token").fill(wrong)
            await page.get_by_role("button", name="Sign in").click()
        await expect(board.badge).to_have_text("SIGNED OUT", timeout=ANSWER_MS)
        await expect(page.get_by_role("alert")).to_be_visible(timeout=ANSWER_MS)
    assert await board.serious_findings() == []
    await page.get_by_label("API key or token").fill(stack.key)
    await page.get_by_role("button", name="Sign in").click()
    await expect(board.badge).to_have_text("LIVE", timeout=ANSWER_MS)
    await expect(page.get_by_label("API key or token")).to_have_count(0)
    await page.get_by_label("scenes").fill("3")
    await page.get_by_role("button", name="Submit").click()
    await expect(page.locator(".head .status")).to_have_text("SUCCEEDED", timeout=TASK_MS)
    await page.reload()
    await expect(page.get_by_role("region", name="Result").first).to_contain_text("scenes3", timeout=ANSWER_MS)
    await expect(page.get_by_role("region", name="Facts")).to_contain_text("tester")
    assert stack.key not in page.url
    assert board.foreign_addresses() == []


async def test_tasks_that_failed_are_retried_only_after_a_count_and_a_yes(browser: Browser, stack: KeyedStack) -> None:
    await stack.submit_many(7, "sendReport")
    board = await stack.visit(browser)
    await board.open("?kind=sendReport&status=FAILED")
    await expect(board.page.locator(".count")).to_have_text("7 shown", timeout=TASK_MS)
    dialog = board.page.get_by_role("dialog")
    for answer in ("Close", "Retry 7 tasks"):
        await board.page.get_by_role("button", name="Retry all that match").click()
        await expect(dialog.get_by_role("heading")).to_have_text("Retry 7 tasks?", timeout=ANSWER_MS)
        await expect(dialog).to_contain_text("Tasks of the kind sendReport with the status FAILED")
        assert await stack.count("sendReport", "FAILED") == 7
        await dialog.get_by_role("button", name=answer).click()
    await expect(dialog).to_contain_text("7 submitted again", timeout=ANSWER_MS)
    await dialog.get_by_role("button", name="Close").click()
    await expect(board.page.locator(".count")).to_have_text("14 shown", timeout=TASK_MS)
    assert board.complaints == []


async def test_without_redis_the_badge_says_degraded_and_the_bar_goes_on(browser: Browser, stack: KeyedStack) -> None:
    task_id = await stack.submit("encodeVideo", scenes=10_000)
    board = await stack.visit(browser)
    await board.open(f"/tasks/{task_id}")
    await board.wait_for_percent(0)
    with away(stack.running, "redis"):
        await expect(board.badge).to_have_text("DEGRADED", timeout=ANSWER_MS)
        for _ in range(2):
            await board.wait_for_percent(await board.percent())
        await expect(board.badge).to_have_text("DEGRADED")
    await expect(board.badge).to_have_text("LIVE", timeout=ANSWER_MS)
    await board.wait_for_percent(await board.percent())
    await board.page.get_by_role("button", name="Cancel").click()
    await expect(board.page.locator(".head .status")).to_have_text("CANCELLED", timeout=ANSWER_MS)
    assert await board.page.evaluate("words") == ["CONNECTING", "LIVE", "DEGRADED", "LIVE"]
    assert board.complaints == []


async def test_a_killed_gateway_is_shown_and_not_a_line_is_missed(browser: Browser, stack: KeyedStack) -> None:
    task_id = await stack.submit("encodeVideo", scenes=SCENES)
    board = await stack.visit(browser)
    await board.open(f"/tasks/{task_id}")
    await board.wait_for_percent(0)
    os.kill(await stack.gateway_with_a_socket(), signal.SIGKILL)
    await expect(board.page.locator(".head .status")).to_have_text("SUCCEEDED", timeout=TASK_MS)
    await expect(board.badge).to_have_text("LIVE")
    assert await board.page.evaluate("words") == ["CONNECTING", "LIVE", "RECONNECTING", "LIVE"]
    told = board.page.get_by_role("log").get_by_role("listitem")
    await expect(told).to_have_text([re.compile(rf"encoded scene {scene}$") for scene in range(1, SCENES + 1)])
    await expect(told.last).to_be_in_viewport()
    ended = board.page.locator(".timeline .status").last
    await expect(ended).to_have_text("SUCCEEDED")


@pytest.mark.timeout(240)
async def test_a_thousand_live_tasks_are_in_the_list_but_not_in_the_page(
    browser: Browser, stack: KeyedStack, record_property: Callable[[str, object], None]
) -> None:
    board = await stack.visit(browser)
    await board.open("?kind=crawlSite")
    await stack.submit_many(MANY, "crawlSite")
    await expect(board.page.locator(".count")).to_have_text(f"{MANY:,} shown", timeout=TASK_MS)
    rows = board.page.locator(".rows-all [role=row]")
    await board.page.locator(".rows-scroll").hover()
    timing = asyncio.ensure_future(board.page.evaluate(TIME_FRAMES, LOOK_S))
    while not timing.done():
        await board.page.mouse.wheel(0, 400)
        assert 0 < await rows.count() <= MOST_ROWS_IN_PAGE
        await asyncio.sleep(0.1)
    said = say_frames(await timing)
    record_property("frames", said)
    print(f"{MANY:,} live tasks on the board: {said}")  # noqa: T201
    await rows.get_by_role("link").first.press("End")
    oldest = board.page.locator(f'[aria-rowindex="{MANY + 1}"]')
    await expect(oldest.get_by_role("link")).to_be_focused(timeout=ANSWER_MS)
    await expect(oldest).to_contain_text("RUNNING", timeout=TASK_MS)
    percent = await oldest.locator(".percent").inner_text()
    await expect(oldest.locator(".percent")).not_to_have_text(percent, timeout=TASK_MS)
    assert 0 < await rows.count() <= MOST_ROWS_IN_PAGE
    assert board.complaints == []


def say_frames(frames_ms: list[float]) -> str:
    """Return the frame times in words: median, 95th percentile and longest."""
    cut = statistics.quantiles(frames_ms, n=20)
    return (
        f"{len(frames_ms)} frames in {LOOK_S:g} s, p50 {cut[9]:.1f} ms, p95 {cut[18]:.1f} ms, "
        f"longest {max(frames_ms):.1f} ms"
    )
