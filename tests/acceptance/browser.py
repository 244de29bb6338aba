"""A real browser for the acceptance tests, and a page in it that is watched.

Chromium is found on the PATH, or where `HEADWAY_CHROMIUM` says. Screenshots are also copied to the folder
`HEADWAY_SCREENSHOTS`, if that is set.
"""

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import ConsoleMessage, Page

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


@dataclass
class Visit:
    """A page of a stack, with all it asked for and all it complained about."""

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


def keep(picture: Path) -> None:
    """Copy a screenshot to where `HEADWAY_SCREENSHOTS` asks for it."""
    if kept := os.environ.get("HEADWAY_SCREENSHOTS"):
        Path(kept).mkdir(parents=True, exist_ok=True)
        shutil.copy(picture, kept)
