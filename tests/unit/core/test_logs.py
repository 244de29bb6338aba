"""Logs of a process: one JSON object a line, whoever says something, and whatever is in it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

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
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z", line["timestamp"]) for line in said)


def test_console_says_the_same_for_people() -> None:
    said = "\n".join(lines("console"))
    assert all(word in said for word in ("Said", "jobs.own", "Failed", "ZeroDivisionError", "said too"))
    assert "Not said" not in said


BOUND = """
import structlog
from core.settings import Settings
from core.telemetry import RequestLogger, configure_logging, get_logger

configure_logging(Settings(log_level="info", log_format="json"), "gateway")
for name in (None, "c-1"):
    if name:
        structlog.contextvars.bind_contextvars(correlation_id=name)
    for log in (RequestLogger("gateway.edge"), get_logger("gateway.edge")):
        log.info("Said", at=1)
        log.info("Said", at=1, correlation_id="c-2")
structlog.contextvars.unbind_contextvars("correlation_id")
RequestLogger("gateway.edge").info("Said", at=1)
"""


def test_lines_of_requests_tell_of_what_is_bound_as_others_do() -> None:
    ended = subprocess.run([sys.executable, "-c", BOUND], capture_output=True, text=True, check=True)
    said = [{**json.loads(line), "timestamp": ""} for line in ended.stderr.splitlines()]
    assert [line.get("correlation_id") for line in said] == [None, "c-2"] * 2 + ["c-1", "c-2"] * 2 + [None]
    assert said[0:2] + said[4:6] == said[2:4] + said[6:8]
    assert {line["role"] for line in said} == {"gateway"}


REQUESTS = """
import asyncio, os, sys
from core.settings import Settings
from core.telemetry import RequestLogger, configure_logging, get_logger

configure_logging(Settings(log_level="info", log_format="{form}"), "gateway")
log, requests = get_logger("gateway.own"), RequestLogger("gateway.edge")

def said():
    return os.fstat(sys.stderr.fileno()).st_size

async def turns():
    sizes = [said()]
    for say in (requests.info, requests.info, log.info, requests.info):
        say("Said", at=len(sizes))
        sizes.append(said())
    await asyncio.sleep(0)
    print(*(int(after > before) for before, after in zip(sizes, [*sizes[1:], said()])))
    requests.info("Said", at=5)
    asyncio.get_running_loop().stop()

requests.info("Said", at=0)
loop = asyncio.new_event_loop()
task = loop.create_task(turns())
loop.run_forever()
if {last}:
    requests.info("Said", at=6)
"""


@pytest.mark.parametrize("last", [6, 0])
@pytest.mark.parametrize(("form", "written"), [("json", "0 0 1 0 1"), ("console", "1 1 1 1 0")])
def test_lines_of_requests_are_written_once_a_turn_and_none_is_lost(
    tmp_path: Path, form: str, written: str, last: int
) -> None:
    file = tmp_path / "stderr"
    program = REQUESTS.replace("{form}", form).replace("{last}", str(last))
    with file.open("wb") as stderr:
        ended = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=stderr, check=True)
    assert ended.stdout.decode().strip() == written
    found = file.read_text().splitlines()
    assert len(found) == (7 if last else 6)
    if form == "json":
        said = [json.loads(line) for line in found]
        at = [line["at"] for line in said if line["logger"] == "gateway.edge"]
        assert at == ([0, 1, 2, 4, 5, 6] if last else [0, 1, 2, 4, 5])
