"""`make screenshots`: pictures of every page of the board in light, dark and narrow, from a stack filled for it.

They are written to docs/img as board-<page>-<look>.png. Times in them are those of the run.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

import aio_pika
from playwright.async_api import async_playwright, expect

from core.messages import queue_name
from core.settings import Settings
from core.states import Priority
from tests.acceptance.api import execute, http_session, submit
from tests.acceptance.board import NARROW, ColorScheme, visit
from tests.acceptance.browser import CHROMIUM_ARGS, chromium
from tests.running_stack import PROJECT, RunningStack, start_stack

FOLDER = PROJECT / "docs" / "img"
LOOKS: dict[str, tuple[tuple[int, int], ColorScheme]] = {
    "light": ((1200, 760), "light"),
    "dark": ((1200, 760), "dark"),
    "narrow": (NARROW, "light"),
}
SLOTS = 20
WAIT_MS = 30_000
ROW = ".rows-all [role=row] >> nth=3"
SUBMIT = """
mutation ($kind: String!, $input: JSON!, $options: TaskOptions) {
  submitTask(kind: $kind, input: $input, options: $options) { id }
}
"""
BATCH = "mutation ($inputs: [SubmitTaskInput!]!) { submitTasks(inputs: $inputs) { id } }"
CANCEL = "mutation ($id: ID!) { cancelTask(id: $id) { id } }"
CREATE = "mutation ($inputs: [CreateItemInput!]!) { createItems(inputs: $inputs) { id } }"
GOODS = ("Pencil", "Pen", "Eraser", "Ruler", "Notebook", "Folder", "Stapler", "Envelope", "Marker", "Scissors")
COLOURS = ("red", "blue", "green", "black")
FILMS = (("harbour", 400), ("holiday", 900), ("interview", 250), ("wedding", 1_600))


async def fill(stack: RunningStack) -> dict[str, tuple[str, ...]]:
    """Fill the stack with what a board is for; return where each page is, and what must be on it."""
    async with http_session(stack.url) as http:
        await execute(http, CREATE, inputs=goods())
        sites = [{"site": f"{name.lower()}.example.org", "pauseS": 0.15} for name in GOODS * 2]
        crawls = [
            {"kind": "crawlSite", "input": {**site, "pages": 30 + 35 * at}, "options": {"priority": "LOW"}}
            for at, site in enumerate(sites[:14])
        ]
        batch = (await execute(http, BATCH, inputs=crawls))["submitTasks"]["id"]
        for words in ("alpha", "beta", "gamma"):
            await submit(http, SUBMIT, kind="processData", input={"data": words, "iterations": 40})
        films = [
            await submit(
                http,
                SUBMIT,
                kind="encodeVideo",
                input={"title": title, "scenes": scenes, "pauseS": 0.5},
                options={"priority": "HIGH"},
            )
            for title, scenes in FILMS
        ]
        for address in ("anna@example.org", "jonas@example.org"):
            await submit(http, SUBMIT, kind="sendReport", input={"to": address})
        later = [await submit(http, SUBMIT, kind="sendReport", input={}, options={"delayS": 3600}) for _ in range(2)]
        await execute(http, CANCEL, id=later[0])
    await spoil(stack)
    return {
        "tasks": ("", ".services >> text=ended", ROW),
        "task": (f"/tasks/{films[2]}", ".log li >> nth=14"),
        "submit": ("/submit/encodeVideo", "form input"),
        "batch": (f"/batches/{batch}", ".head progress", ROW),
        "batches": ("/batches", ".head progress"),
        "items": ("/items", ROW),
        "dead-letters": ("/dead-letters", "section.panel >> nth=1"),
    }


def goods() -> list[dict[str, object]]:
    """Return the items of a catalogue."""
    return [
        {
            "name": f"{name} {colour}",
            "description": f"A {colour} {name.lower()} for the office",
            "metadata": {"colour": colour, "stock": 7 * len(name), "price": 0.25 * at},
        }
        for at, name in enumerate(GOODS, start=1)
        for colour in COLOURS
    ]


async def spoil(stack: RunningStack) -> None:
    """Send the bridges what nobody can read."""
    async with await aio_pika.connect(stack.processes().services["rabbitmq"]) as amqp:
        exchange = (await amqp.channel()).default_exchange
        for body in (b'{"version": 9, "task": "?"}', b"not one of ours"):
            await exchange.publish(aio_pika.Message(body), queue_name(Settings().namespace, Priority.NORMAL))


async def take(stack: RunningStack) -> None:
    """Take every page in every look."""
    places = await fill(stack)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=list(CHROMIUM_ARGS))
        for look, (size, colours) in LOOKS.items():
            board = await visit(browser, stack, size, colours)
            for name, (path, *signs) in places.items():
                await board.open(path)
                for sign in signs:
                    await expect(board.page.locator(sign).first).to_be_visible(timeout=WAIT_MS)
                await board.page.screenshot(path=FOLDER / f"board-{name}-{look}.png")
            await board.page.close()
        await browser.close()


def main() -> int:
    """Start a stack, take the pictures, and stop it."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    environment = {"HEADWAY_KIND_MODULES": "tests.acceptance.board_kinds", "HEADWAY_WORKER_SLOTS": str(SLOTS)}
    with tempfile.TemporaryDirectory(prefix="headway-pictures-") as folder:
        stack = start_stack(Path(folder) / "data", "--broker", "rabbitmq", env=environment)
        try:
            asyncio.run(take(stack))
        finally:
            stack.stop()
    sys.stdout.write(f"{len(list(FOLDER.glob('board-*.png')))} pictures are in {FOLDER.relative_to(PROJECT)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
