"""Logs of a process: one JSON object a line, whoever says something, and whatever is in it."""

import json
import subprocess
import sys

PROGRAM = """
import logging
from core.settings import Settings
from core.telemetry import configure_logging, get_logger

configure_logging(Settings(log_level="info", log_format="{form}"), "worker")
log = get_logger("jobs.own")
log.info("Said", count=2**70, odd="\\ud800", thing=object)
log.debug("Not said")
try:
    1 / 0
except ZeroDivisionError:
    log.exception("Failed")
logging.getLogger("someone.else").warning("said %s", "too")
"""


def lines(form: str) -> list[str]:
    """Return what a process writes to standard error."""
    program = PROGRAM.replace("{form}", form)
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stderr.splitlines()


def test_each_line_is_an_object_with_its_logger_and_level() -> None:
    said = [json.loads(line) for line in lines("json")]
    assert [(line["event"], line["level"], line["logger"], line["role"]) for line in said] == [
        ("Said", "info", "jobs.own", "worker"),
        ("Failed", "error", "jobs.own", "worker"),
        ("said too", "warning", "someone.else", "worker"),
    ]
    assert (said[0]["count"], said[0]["odd"], said[0]["thing"]) == (2**70, "\ud800", "<class 'object'>")
    assert "ZeroDivisionError" in said[1]["exception"]
    assert all(line["timestamp"].endswith("Z") for line in said)


def test_console_says_the_same_for_people() -> None:
    said = "\n".join(lines("console"))
    assert all(word in said for word in ("Said", "jobs.own", "Failed", "ZeroDivisionError", "said too"))
    assert "Not said" not in said
