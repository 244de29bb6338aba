"""A newcomer's first minute in the explorer, in a real browser: submit, follow to the end, ask nobody else."""

import re
from pathlib import Path
from typing import Protocol

import pytest
from playwright.async_api import Browser, Locator, expect

from tests.acceptance.browser import Visit, keep

READY_MS = 30_000
ANSWER_MS = 15_000
TASK_MS = 60_000


class Stack(Protocol):
    """The running topology, as far as a browser is concerned."""

    url: str


class Explorer(Visit):
    """GraphiQL in a browser that has never seen it before."""

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


@pytest.fixture
async def explorer(browser: Browser, stack: Stack) -> Explorer:
    page = await browser.new_page(viewport={"width": 1400, "height": 900})
    explorer = Explorer(page, stack.url.rstrip("/"))
    explorer.watch()
    return explorer


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
