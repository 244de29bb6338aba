"""The task board in a real browser, on a whole stack: a pure client of the public API."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from gql.client import AsyncClientSession
from playwright.async_api import Browser, WebSocketRoute, expect

from tests.acceptance.api import PROCESS, execute, http_session, submit
from tests.acceptance.board import ANSWER_MS, NARROW, TASK_MS, WIDE, Board, ColorScheme, visit
from tests.acceptance.browser import keep
from tests.running_stack import RunningStack

LONG = 9_000


@pytest.fixture
async def board(browser: Browser, stack: RunningStack) -> AsyncIterator[Board]:
    """The board at its usual size; it must ask nobody else and complain of nothing."""
    board = await visit(browser, stack)
    yield board
    assert board.foreign_addresses() == []
    assert board.complaints == []


@pytest.fixture
async def http(stack: RunningStack) -> AsyncIterator[AsyncClientSession]:
    async with http_session(stack.url) as session:
        yield session


async def test_a_task_appears_moves_and_ends_on_the_open_list(board: Board, http: AsyncClientSession) -> None:
    await board.open()
    task_id = await submit(http, PROCESS, input={"data": "seen", "iterations": 300})
    await expect(board.row(task_id)).to_contain_text("SUCCEEDED", timeout=TASK_MS)
    await expect(board.row(task_id)).to_contain_text("100 %")


async def test_a_filter_is_part_of_the_address_and_takes_off_what_leaves_it(
    board: Board, http: AsyncClientSession
) -> None:
    ended = await submit(http, PROCESS, input={"data": "ended", "iterations": 1})
    await board.open()
    await expect(board.row(ended)).to_contain_text("SUCCEEDED", timeout=TASK_MS)
    await board.page.get_by_role("button", name="RUNNING").click()
    await expect(board.page).to_have_url(re.compile(r"/board/?\?status=RUNNING$"))
    await expect(board.row(ended)).to_have_count(0)
    running = await submit(http, PROCESS, input={"data": "running", "iterations": LONG})
    await expect(board.row(running)).to_contain_text("RUNNING", timeout=TASK_MS)
    await expect(board.page.locator(".services")).to_contain_text("1 worker is busy with", timeout=TASK_MS)
    await execute(http, "mutation ($id: ID!) { cancelTask(id: $id) { id } }", id=running)
    await expect(board.row(running)).to_have_count(0, timeout=TASK_MS)


async def test_a_reload_in_mid_task_goes_on_and_a_cancel_ends_it(board: Board, http: AsyncClientSession) -> None:
    task_id = await submit(http, PROCESS, input={"data": "cancelled", "iterations": LONG})
    await board.open(f"/tasks/{task_id}")
    before = await board.wait_for_percent(0)
    await board.wait_for_percent(before)
    await expect(board.page.locator(".head")).to_contain_text(re.compile(r"/s.* left"))
    await board.page.reload()
    await board.wait_for_percent(before)
    await board.page.get_by_role("button", name="Cancel").click()
    await expect(board.page.locator(".head .status")).to_have_text("CANCELLED", timeout=ANSWER_MS)
    told = board.page.locator(".timeline .status")
    await expect(told).to_have_text(["PENDING", "QUEUED", "RUNNING", "CANCELLING", "CANCELLED"], timeout=ANSWER_MS)
    await board.page.get_by_role("button", name="Retry").click()
    await expect(board.page).not_to_have_url(re.compile(task_id))
    await expect(board.page.get_by_role("link", name=task_id)).to_be_visible(timeout=ANSWER_MS)
    await board.page.get_by_role("button", name="Cancel").click()
    await expect(board.page.locator(".head .status")).to_have_text("CANCELLED", timeout=ANSWER_MS)


async def test_a_form_made_from_the_kind_submits_and_shows_what_is_refused(board: Board) -> None:
    await board.open("/submit/processData")
    await board.page.get_by_label("data").fill("from a form")
    await board.page.get_by_label("iterations").fill("25")
    await board.page.get_by_role("button", name="Submit").click()
    await expect(board.page.locator(".head .status")).to_have_text("SUCCEEDED", timeout=TASK_MS)
    await expect(board.page.get_by_role("region", name="Result").first).to_contain_text("totalProcessed25")
    await board.open("/submit/importItems")
    await board.page.get_by_label("format").select_option("CSV")
    await board.page.get_by_label("content", exact=True).fill("no header that names it")
    await board.page.get_by_role("button", name="Submit").click()
    await expect(board.page.get_by_role("alert")).to_contain_text("expected a header", timeout=ANSWER_MS)


async def test_a_batch_is_cancelled_and_retried_after_a_count_and_a_yes(board: Board) -> None:
    await board.open("/submit/processData")
    await board.page.get_by_label("data").fill("many")
    await board.page.get_by_label("iterations").fill(str(LONG))
    await board.page.get_by_label("How many").fill("12")
    await board.page.get_by_role("button", name="Submit").click()
    await expect(board.page).to_have_url(re.compile("/board/batches/"))
    await expect(board.page.locator(".row[aria-rowindex]")).to_have_count(13, timeout=ANSWER_MS)
    dialog = board.page.get_by_role("dialog")
    await board.page.get_by_role("button", name="Cancel all that match").click()
    await expect(dialog.get_by_role("heading")).to_have_text("Cancel 12 tasks?", timeout=ANSWER_MS)
    assert await board.serious_findings() == []
    await dialog.get_by_role("button", name="Cancel 12 tasks").click()
    await expect(dialog).to_contain_text("12 asked to stop", timeout=ANSWER_MS)
    await board.page.keyboard.press("Escape")
    await expect(board.page.locator("main .head")).to_contain_text("12 CANCELLED", timeout=TASK_MS)
    await expect(board.page.locator("main .head")).to_contain_text("12 of 12 ended")
    await board.page.get_by_role("button", name="Retry all that match").click()
    await expect(dialog.get_by_role("heading")).to_have_text("Retry 12 tasks?", timeout=ANSWER_MS)
    await dialog.get_by_role("button", name="Close").click()
    await expect(dialog).to_have_count(0)


async def test_a_lost_connection_is_shown_and_nothing_is_missed(board: Board, http: AsyncClientSession) -> None:
    routes: list[WebSocketRoute] = []
    is_back = asyncio.Event()

    async def route(socket: WebSocketRoute) -> None:
        if routes:
            await is_back.wait()
        routes.append(socket)
        socket.connect_to_server()

    await board.page.route_web_socket("**/graphql", route)
    await board.open()
    await routes[0].close(code=1012, reason="restart")
    await expect(board.badge).to_have_text("RECONNECTING", timeout=ANSWER_MS)
    missed = await submit(http, PROCESS, input={"data": "missed", "iterations": 1})
    is_back.set()
    await expect(board.badge).to_have_text("LIVE", timeout=ANSWER_MS)
    await expect(board.row(missed)).to_contain_text("SUCCEEDED", timeout=TASK_MS)


async def test_an_unknown_task_is_refused_in_words(board: Board) -> None:
    await board.open("/tasks/019a0000-0000-7000-8000-000000000000")
    await expect(board.page.get_by_role("alert")).to_contain_text("019a0000-0000-7000-8000-000000000000")


async def test_the_arrow_keys_go_from_row_to_row_and_enter_opens_one(board: Board, http: AsyncClientSession) -> None:
    ids = [await submit(http, PROCESS, input={"data": str(n), "iterations": 1}) for n in range(3)]
    await board.open()
    for task_id in ids:
        await expect(board.row(task_id)).to_contain_text("SUCCEEDED", timeout=TASK_MS)
    await board.page.locator(f'[data-task="{ids[-1]}"]').focus()
    await board.page.keyboard.press("Home")
    await board.page.keyboard.press("ArrowDown")
    await board.page.keyboard.press("ArrowDown")
    await expect(board.page.locator(f'[data-task="{ids[0]}"]')).to_be_focused()
    await board.page.keyboard.press("Enter")
    await expect(board.page).to_have_url(re.compile(f"/board/tasks/{ids[0]}$"))


@pytest.mark.parametrize(
    ("look", "size", "colours"),
    [("light", WIDE, "light"), ("dark", WIDE, "dark"), ("narrow", NARROW, "light")],
    ids=["light", "dark", "narrow"],
)
async def test_no_view_has_a_serious_barrier(
    browser: Browser,
    stack: RunningStack,
    http: AsyncClientSession,
    look: str,
    size: tuple[int, int],
    colours: ColorScheme,
    tmp_path: Path,
) -> None:
    board = await visit(browser, stack, size, colours)
    task_id = await submit(http, PROCESS, input={"data": look, "iterations": 120})
    views = {
        "task": (f"/tasks/{task_id}", ".status >> text=SUCCEEDED"),
        "tasks": ("", ".status >> text=SUCCEEDED"),
        "submit": ("/submit/importItems", "form textarea"),
        "batches": ("/batches", "main > *:nth-child(3)"),
        "dead-letters": ("/dead-letters", "main > *:nth-child(3)"),
    }
    for name, (path, sign) in views.items():
        await board.open(path)
        await expect(board.page.locator(sign).first).to_be_visible(timeout=TASK_MS)
        picture = tmp_path / f"board-{name}-{look}.png"
        await board.page.screenshot(path=picture)
        keep(picture)
        assert await board.serious_findings() == [], name
        overflow = await board.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert overflow <= 0, f"{name} is {overflow} px too wide"
    assert board.complaints == []
