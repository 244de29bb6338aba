"""A newcomer's first minute in the explorer, in a real browser: submit a task, follow it to its end, ask nobody else.

Chromium is found on the PATH, or where `HEADWAY_CHROMIUM` says. Screenshots are also copied to the folder
`HEADWAY_SCREENSHOTS`, if that is set.
"""

import os
import re
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, ConsoleMessage, Locator, Page, async_playwright, expect

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM_ARGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
READY_MS = 30_000
ANSWER_MS = 15_000
TASK_MS = 60_000


class Stack(Protocol):
    """The running topology, as far as a browser is concerned."""

    url: str


@dataclass
class Explorer:
    """GraphiQL in a browser that has never seen it before, with all it asked for and all it complained about."""

    page: Page
    origin: str
    addresses: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Record from now on; call it before the first page is opened."""
        self.page.on("request", lambda request: self.addresses.append(request.url))
        self.page.on("websocket", lambda socket: self.addresses.append(socket.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._hear)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(message.text)

    @property
    def result(self) -> Locator:
        return self.page.locator(".result-window .view-lines")

    async def open(self, path: str) -> None:
        """Open the page and wait until the first sample stands in the editor."""
        await self.page.goto(self.origin + path)
        title = await self.page.title()
        assert title == "Headway · GraphiQL", f"{title!r}: are the pages built? cd ui && npm ci && npm run build"
        await self._expect_operation("Submit")

    async def show(self, tab: str) -> None:
        """Bring another sample's tab to the front and wait until the editor holds its operation."""
        await self.page.get_by_role("tab", name=tab, exact=True).click()
        await self._expect_operation(tab)

    async def _expect_operation(self, tab: str) -> None:
        editor = self.page.locator(".graphiql-query-editor .view-lines")
        await expect(editor).to_contain_text(re.compile(rf"(query|mutation|subscription)\s{tab}\b"), timeout=READY_MS)

    async def run(self) -> None:
        await self.page.get_by_role("button", name="Execute query").click()

    def foreign_addresses(self) -> list[str]:
        """Return what was asked of any other host. `data:` and `blob:` addresses are asked of nobody."""
        host = urlsplit(self.origin).netloc
        return [
            address
            for address in self.addresses
            if urlsplit(address).scheme not in {"data", "blob"} and urlsplit(address).netloc != host
        ]


def chromium() -> str:
    """Return the path of a Chromium, or fail the test with the way to get one."""
    named = os.environ.get("HEADWAY_CHROMIUM")
    found = named or next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    if not found:
        pytest.fail("No Chromium: run `apt-get install chromium`, or set HEADWAY_CHROMIUM to the path of one.")
    return found


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=chromium(), args=list(CHROMIUM_ARGS))
        yield launched
        await launched.close()


@pytest.fixture
async def explorer(browser: Browser, stack: Stack) -> Explorer:
    page = await browser.new_page(viewport={"width": 1400, "height": 900})
    explorer = Explorer(page, stack.url.rstrip("/"))
    explorer.watch()
    return explorer


def keep(picture: Path) -> None:
    """Copy a screenshot to where `HEADWAY_SCREENSHOTS` asks for it."""
    if kept := os.environ.get("HEADWAY_SCREENSHOTS"):
        Path(kept).mkdir(parents=True, exist_ok=True)
        shutil.copy(picture, kept)


@pytest.mark.parametrize("path", ["/", "/graphql"])
async def test_a_submitted_task_is_followed_to_its_end(explorer: Explorer, path: str, tmp_path: Path) -> None:
    await explorer.open(path)
    await explorer.run()
    await expect(explorer.result).to_contain_text('"processData"', timeout=ANSWER_MS)
    task_id = re.search(r'"id":\s"([0-9a-f-]{36})"', await explorer.result.inner_text())
    assert task_id, await explorer.result.inner_text()

    await explorer.show("Follow")
    await expect(explorer.page.locator(".graphiql-editor-tool .view-lines").first).to_contain_text(task_id[1])
    await explorer.run()
    await expect(explorer.result).to_contain_text('"SUCCEEDED"', timeout=TASK_MS)
    await expect(explorer.result).to_contain_text('"totalProcessed": 500')
    await expect(explorer.result).to_contain_text(task_id[1])
    # The gateway completes the subscription after the terminal state: the stop button gives way by itself.
    await explorer.page.get_by_role("button", name="Execute query").wait_for(timeout=ANSWER_MS)

    picture = tmp_path / f"graphiql-{path.strip('/') or 'root'}.png"
    await explorer.page.screenshot(path=picture)
    keep(picture)
    assert any(address.startswith("ws") for address in explorer.addresses), "the subscription took no WebSocket"
    assert explorer.foreign_addresses() == []
    assert explorer.complaints == []


@pytest.mark.parametrize("tab", ["Tasks", "Import", "Items", "System"])
async def test_every_other_sample_is_answered_without_an_error(explorer: Explorer, tab: str) -> None:
    await explorer.open("/")
    await explorer.show(tab)
    async with explorer.page.expect_response("**/graphql", timeout=ANSWER_MS) as answer:
        await explorer.run()
    result = await (await answer.value).json()
    assert "errors" not in result, result
    await expect(explorer.result).to_contain_text(f'"{next(iter(result["data"]))}"')
    assert explorer.complaints == []


async def test_an_unknown_task_is_refused_in_words(explorer: Explorer) -> None:
    await explorer.open("/")
    await explorer.show("Follow")
    await explorer.run()
    await expect(explorer.result).to_contain_text('"message"', timeout=ANSWER_MS)
    await expect(explorer.result).to_contain_text('"code"')
    await expect(explorer.result).not_to_contain_text("Traceback")
