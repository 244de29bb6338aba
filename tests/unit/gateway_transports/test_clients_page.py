"""docs/clients.md names every code that a socket is closed with, and every one that a task can end with."""

import re
from pathlib import Path

from gateway.transports.frames import CloseCode

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
FIRST_CELLS = re.findall(r"^\| ([^|]+) \|", PAGE, re.MULTILINE)
TOO_BIG = 1009
"""Which the WebSocket library sends by itself."""


def test_close_codes_are_those_on_the_page() -> None:
    named = [int(code) for cell in FIRST_CELLS for code in re.findall(r"\b\d{4}\b", cell)]
    assert sorted(named) == sorted([*CloseCode, TOO_BIG])


def test_codes_of_task_errors_stand_on_the_page() -> None:
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "jobs").rglob("*.py")]
    codes = {code for text in sources for code in re.findall(r'(?:\bcode(?:: str)? ?= ?|Raised\()"([A-Z_]+)"', text)}
    named = {code for cell in FIRST_CELLS for code in re.findall(r"`([A-Z_]+)`", cell)}
    assert {"KIND_ERROR", "TIMEOUT", "UNKNOWN_KIND"} <= codes
    assert codes <= named
