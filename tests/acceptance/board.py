"""The task board's pages as a test drives them: opened, read, and examined for barriers."""

import asyncio
from typing import Any, Literal

from playwright.async_api import Browser, Locator, expect

from tests.acceptance.browser import Visit
from tests.running_stack import PROJECT, RunningStack

ColorScheme = Literal["light", "dark"]
AXE = PROJECT / "ui/node_modules/axe-core/axe.min.js"
ANSWER_MS = 15_000
TASK_MS = 90_000
WIDE, NARROW = (1400, 900), (390, 844)


class Board(Visit):
    """The board in a browser that has never seen it before."""

    async def open(self, path: str = "") -> None:
        """Open a view and wait until its news come live."""
        await self.page.goto(f"{self.origin}/board{path}")
        title = await self.page.title()
        assert title.startswith("Headway · "), f"{title!r}: are the pages built? cd ui && npm ci && npm run build"
        await expect(self.badge).to_have_text("LIVE", timeout=ANSWER_MS)

    @property
    def badge(self) -> Locator:
        return self.page.locator(".badge")

    @property
    def bar(self) -> Locator:
        return self.page.locator(".head progress")

    def row(self, task_id: str) -> Locator:
        """The row of a task on the live list."""
        return self.page.get_by_role("row").filter(has=self.page.locator(f'[data-task="{task_id}"]'))

    async def percent(self) -> float:
        """Return how far the bar on a task's page is."""
        return float(await self.bar.evaluate("bar => bar.value"))

    async def wait_for_percent(self, above: float) -> float:
        """Wait until the bar is further than that, and return how far it is."""
        async with asyncio.timeout(TASK_MS / 1000):  # The page's policy lets no script of ours wait in it.
            while (percent := await self.percent()) <= above:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        return percent

    async def serious_findings(self) -> list[str]:
        """Return what axe takes for a serious or critical barrier on this page."""
        await self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found: dict[str, Any] = await self.page.evaluate("axe.run()")
        serious = [finding for finding in found["violations"] if finding["impact"] in {"serious", "critical"}]
        return [f"{finding['id']}: {finding['nodes'][0]['html']}" for finding in serious]


async def visit(
    browser: Browser, stack: RunningStack, size: tuple[int, int] = WIDE, colours: ColorScheme = "light"
) -> Board:
    """Return a watched page of the stack."""
    page = await browser.new_page(viewport={"width": size[0], "height": size[1]}, color_scheme=colours)
    board = Board(page, stack.url)
    board.watch()
    return board
