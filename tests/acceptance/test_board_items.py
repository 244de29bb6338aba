"""The board's page of items in a real browser, on a whole stack: find, change, remove and import them."""

import re
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from gql.client import AsyncClientSession
from playwright.async_api import Browser, FilePayload, Locator, WebSocket, expect

from tests.acceptance.api import execute, http_session
from tests.acceptance.board import ANSWER_MS, NARROW, TASK_MS, WIDE, Board, ColorScheme, visit
from tests.acceptance.browser import keep
from tests.running_stack import RunningStack

MAKE = "mutation ($inputs: [CreateItemInput!]!) { createItems(inputs: $inputs) { id } }"
FIND = "query ($name: String) { items(filter: {nameContains: $name}) { nodes { id name description metadata } } }"
UPLOAD = "/imports/content"
DROP = """
([type, name, mimeType, text]) => {
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([text], name, { type: mimeType }));
  document.body.dispatchEvent(new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }));
}
"""


@dataclass
class ItemsBoard:
    """The page of items, narrowed to those with a name that no other test gives."""

    board: Board
    mark: str

    async def open(self, below: str = "", **conditions: str) -> None:
        """Show the items of this test that also meet the conditions."""
        query = "&".join(f"{name}={value}" for name, value in {"name": self.mark, **conditions}.items())
        await self.board.open(f"/items{below}?{query}")

    @property
    def names(self) -> Locator:
        """The links of the rows in sight."""
        return self.board.page.locator(".items .cell-name a")

    @property
    def count(self) -> Locator:
        return self.board.page.locator(".count")

    @property
    def dialog(self) -> Locator:
        return self.board.page.get_by_role("dialog")

    @property
    def panel(self) -> Locator:
        return self.board.page.get_by_role("region", name=re.compile("^Import"))

    def button(self, name: str) -> Locator:
        return self.board.page.get_by_role("button", name=name, exact=True)

    async def drop(self, name: str, text: str) -> None:
        """Drag a file over the page and let it go."""
        for kind in ("dragenter", "dragover", "drop"):
            await self.board.page.evaluate(DROP, [kind, name, "", text])

    async def choose(self, name: str, text: str) -> None:
        """Choose a file in the dialog of the browser."""
        async with self.board.page.expect_file_chooser() as opened:
            await self.button("Import a file…").click()
        await (await opened.value).set_files(FilePayload(name=name, mimeType="", buffer=text.encode()))


@pytest.fixture
async def http(stack: RunningStack) -> AsyncIterator[AsyncClientSession]:
    async with http_session(stack.url) as session:
        yield session


@pytest.fixture
async def items(browser: Browser, stack: RunningStack) -> AsyncIterator[ItemsBoard]:
    """The page at its usual size; it must ask nobody else and complain of nothing."""
    board = await visit(browser, stack)
    yield ItemsBoard(board, secrets.token_hex(6))
    assert board.foreign_addresses() == []
    assert board.complaints == []


async def test_items_are_found_by_conditions_and_the_list_goes_on_where_a_page_ends(
    items: ItemsBoard, http: AsyncClientSession
) -> None:
    inputs = [{"name": f"{items.mark} {n:03}", "metadata": {"size": n % 4, "city": "Oslo"}} for n in range(230)]
    await execute(http, MAKE, inputs=inputs)
    await items.open(order="NAME_ASC")
    await expect(items.count).to_have_text("230 items, 100 shown", timeout=ANSWER_MS)
    await items.names.first.focus()
    for count in ("230 items, 200 shown", "230 items"):
        await items.board.page.keyboard.press("End")
        await expect(items.count).to_have_text(count, timeout=ANSWER_MS)
    await items.board.page.keyboard.press("End")
    await expect(items.names.filter(has_text=f"{items.mark} 229")).to_be_focused()
    await items.board.page.get_by_label("Name", exact=True).fill(f"{items.mark} 01")
    await expect(items.count).to_have_text("10 items", timeout=ANSWER_MS)
    await items.board.page.get_by_text("More conditions").click()
    await items.board.page.get_by_label("Metadata").fill("size")
    await items.board.page.get_by_label("is", exact=True).fill("2")
    await expect(items.names).to_have_text([f"{items.mark} {n:03}" for n in (10, 14, 18)], timeout=ANSWER_MS)
    await items.board.page.get_by_label("Order").select_option("by name, from Z")
    await expect(items.names.first).to_have_text(f"{items.mark} 018", timeout=ANSWER_MS)
    await items.board.page.reload()
    await expect(items.names).to_have_text([f"{items.mark} {n:03}" for n in (18, 14, 10)], timeout=ANSWER_MS)
    await items.board.page.get_by_label("Made from").fill("2999-12-31")
    await expect(items.board.page.get_by_text("No item matches.")).to_be_visible(timeout=ANSWER_MS)


async def test_an_item_is_made_changed_and_removed_after_a_yes(items: ItemsBoard, http: AsyncClientSession) -> None:
    name, page = f"{items.mark} lamp", items.board.page
    await items.open()
    await page.get_by_role("link", name="New item…").click()
    await expect(items.dialog.get_by_label("Name")).to_be_focused()
    await page.keyboard.type(name)
    await items.dialog.get_by_label("Metadata").fill("[1]")
    await items.button("Save").click()
    await expect(items.dialog.get_by_role("alert")).to_contain_text("expected a JSON object", timeout=ANSWER_MS)
    await items.dialog.get_by_label("Metadata").fill('{"colour": "red"}')
    await items.button("Save").click()
    await expect(page.get_by_text(f"“{name}” is made.")).to_be_visible(timeout=ANSWER_MS)
    await items.names.filter(has_text=name).focus()
    await page.keyboard.press("Enter")
    await items.dialog.get_by_label("Description").fill("It shines.")
    await page.keyboard.press("Escape")
    await expect(items.dialog.get_by_role("alert")).to_contain_text("not saved")
    await items.button("Save").click()
    await expect(page.get_by_role("row").filter(has_text=name)).to_contain_text("It shines.", timeout=ANSWER_MS)
    [lamp] = (await execute(http, FIND, name=name))["items"]["nodes"]
    assert (lamp["description"], lamp["metadata"]) == ("It shines.", {"colour": "red"})
    await items.open(f"/{lamp['id']}")
    await items.button("Remove…").click()
    await items.button("Remove it").click()
    await expect(page.get_by_text(f"“{name}” is removed.")).to_be_visible(timeout=ANSWER_MS)
    await expect(items.names).to_have_count(0)
    assert (await execute(http, FIND, name=name))["items"]["nodes"] == []
    await items.open(f"/{lamp['id']}")
    await expect(items.dialog.get_by_role("alert")).to_contain_text(lamp["id"], timeout=ANSWER_MS)


async def test_a_large_file_that_is_dropped_is_followed_to_its_end_with_the_rows_left_out(items: ItemsBoard) -> None:
    rows, page = 1_200, items.board.page
    lines = [f"{items.mark} {n:04},{'x' * 200},{n}" for n in range(rows)]
    lines[599] = ",it has no name,1"
    lines[1_199] = f"{'n' * 201},its name is too long,2"
    told: list[str] = []
    page.on("websocket", lambda socket: hear(socket, told))
    await items.open()
    await items.drop("many.csv", "name,description,size\n" + "\n".join(lines))
    await expect(items.panel.get_by_role("heading")).to_have_text("Import many.csv")
    await expect(items.panel.get_by_role("heading")).to_be_focused()
    await expect(items.panel.get_by_label("Format")).to_have_value("CSV")
    await expect(items.panel.get_by_label("Key").get_by_role("option")).to_have_text(["name", "description", "size"])
    await items.button("Import").click()
    await expect(page).to_have_url(re.compile("import="), timeout=ANSWER_MS)
    await expect(items.panel.locator(".status")).to_have_text("SUCCEEDED", timeout=TASK_MS)
    await expect(items.panel.get_by_role("progressbar")).to_have_attribute("value", "100")
    await expect(items.panel.get_by_role("status")).to_have_text("1,198 inserted, 0 updated, 2 left out.")
    await expect(items.panel.get_by_role("row")).to_contain_text(["line", "601", "1201"])
    await expect(items.count).to_contain_text("1,198 items", timeout=ANSWER_MS)
    assert any(address.endswith(UPLOAD) for address in items.board.addresses)
    percents = [float(percent) for text in told for percent in re.findall(r'"percent":([\d.]+)', text)]
    assert len(percents) > 1
    assert percents == sorted(percents), "the bar went back"
    assert percents[-1] == 100
    await page.reload()
    await expect(items.panel.get_by_role("status")).to_contain_text("2 left out", timeout=ANSWER_MS)
    await items.button("Close").click()
    await expect(items.panel).to_have_count(0)


def hear(socket: WebSocket, told: list[str]) -> None:
    """Keep what graphql-transport-ws tells of an import."""
    socket.on("framereceived", lambda frame: told.append(str(frame)) if '"importItems"' in str(frame) else None)


async def test_a_small_file_that_is_chosen_goes_with_the_mutation(items: ItemsBoard, http: AsyncClientSession) -> None:
    await items.open()
    rows = [{"name": f"{items.mark} a", "sku": 1}, {"name": f"{items.mark} b", "sku": 1}, {"name": 7, "sku": 2}]
    await items.choose("few.jsonl", "\n".join(msgspec.json.encode(row).decode() for row in rows))
    await expect(items.panel.get_by_label("Format")).to_have_value("NDJSON")
    await items.panel.get_by_label("Key").select_option("sku")
    await items.button("Import").click()
    await expect(items.panel.get_by_role("status")).to_have_text("1 inserted, 1 updated, 1 left out.", timeout=TASK_MS)
    await expect(items.names).to_have_text([f"{items.mark} b"], timeout=ANSWER_MS)
    assert not any(address.endswith(UPLOAD) for address in items.board.addresses)


async def test_a_file_that_can_not_be_imported_is_refused_in_words(items: ItemsBoard) -> None:
    await items.open()
    alert = items.board.page.get_by_role("alert")
    await items.drop("empty.csv", "")
    await expect(alert).to_contain_text("empty.csv is empty")
    await items.drop("nameless.csv", "title,size\na,1")
    await expect(alert).to_have_count(0)
    await items.button("Import").click()
    await expect(alert).to_contain_text("expected a header", timeout=ANSWER_MS)
    await items.button("Dismiss").click()
    await expect(items.panel).to_have_count(0)


async def test_what_matches_is_exported_into_a_file_that_is_imported_again(
    items: ItemsBoard, http: AsyncClientSession, tmp_path: Path
) -> None:
    page, inputs = items.board.page, [{"name": f"{items.mark} {n}", "metadata": {"size": n}} for n in range(3)]
    await execute(http, MAKE, inputs=inputs)
    await items.open(path="size", value="2")
    await expect(items.count).to_have_text("1 item", timeout=ANSWER_MS)
    await items.button("Export…").click()
    panel = page.get_by_role("region", name="Export")
    await expect(panel.get_by_role("heading")).to_be_focused()
    await panel.get_by_label("Format").select_option("NDJSON")
    await items.button("Export").click()
    await expect(panel.locator(".status")).to_have_text("SUCCEEDED", timeout=TASK_MS)
    await expect(panel.get_by_role("status")).to_contain_text("1 item in ")
    await expect(page).to_have_url(re.compile("export="), timeout=ANSWER_MS)
    await page.reload()
    async with page.expect_download() as saved:
        await panel.get_by_text("Save the file").click()
    await (await saved.value).save_as(tmp_path / "saved")
    written = (tmp_path / "saved").read_text(encoding="utf-8")
    assert [msgspec.json.decode(line) for line in written.splitlines()] == [
        {"name": f"{items.mark} 2", "description": None, "size": 2}
    ]
    # Who has signed in can't use a link: no link carries a credential.
    await page.evaluate("sessionStorage.setItem('headway:credential', 'a key')")
    await page.reload()
    async with page.expect_download() as fetched:
        await panel.get_by_role("button", name="Save the file").click()
    assert (await fetched.value).suggested_filename == (await saved.value).suggested_filename
    await items.drop("again.ndjson", written)
    await items.button("Import").click()
    await expect(items.panel.get_by_role("status")).to_have_text("0 inserted, 1 updated, 0 left out.", timeout=TASK_MS)


@pytest.mark.parametrize(
    ("look", "size", "colours"),
    [("light", WIDE, "light"), ("dark", WIDE, "dark"), ("narrow", NARROW, "light")],
    ids=["light", "dark", "narrow"],
)
async def test_no_view_of_items_has_a_serious_barrier(
    browser: Browser, stack: RunningStack, look: str, size: tuple[int, int], colours: ColorScheme, tmp_path: Path
) -> None:
    items = ItemsBoard(await visit(browser, stack, size, colours), secrets.token_hex(6))
    page = items.board.page

    async def examine(name: str) -> None:
        picture = tmp_path / f"board-{name}-{look}.png"
        await page.screenshot(path=picture)
        keep(picture)
        assert await items.board.serious_findings() == [], name
        overflow = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert overflow <= 0, f"{name} is {overflow} px too wide"

    await items.open(path="size", value="1")
    lines = [f"{items.mark} Lamp {n:02},A lamp for the desk,1,Oslo" for n in range(12)]
    await items.drop("lamps.csv", "\n".join(["name,description,size,city", *lines, ",nameless,1,Oslo"]))
    await expect(items.button("Import")).to_be_visible()
    await examine("items-file")
    await items.button("Import").click()
    await expect(items.panel.get_by_role("status")).to_contain_text("1 left out", timeout=TASK_MS)
    await expect(items.names.first).to_be_visible(timeout=ANSWER_MS)
    await examine("items-import")
    await items.button("Close").click()
    await items.button("Export…").click()
    await items.button("Export").click()
    await expect(page.get_by_text("Save the file")).to_be_visible(timeout=TASK_MS)
    await examine("items-export")
    await items.button("Close").click()
    await items.names.first.click()
    await expect(items.dialog.get_by_label("Name")).to_be_visible(timeout=ANSWER_MS)
    await examine("items-item")
    await items.button("Remove…").click()
    await examine("items-remove")
    assert items.board.complaints == []
