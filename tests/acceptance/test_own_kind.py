"""docs/kinds.md word for word: from an empty folder to a live task, and what happens to a file that can't be used."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stack.process import free_port
from tests.running_stack import PROJECT, RunningStack, await_ready, clean_environment

PAGE = (PROJECT / "docs" / "kinds.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
WITHIN_S = 60.0


class Reader:
    """Does what the page says, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.environment = clean_environment(folder) | {"PATH": path, "HEADWAY_URL": f"http://127.0.0.1:{self.port}"}

    def run(self, script: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["bash", "-euc", script],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=False,
        )

    def start(self, script: str) -> RunningStack:
        """Start the stack as the page says, but on a port that is free."""
        output = self.folder / "up.out"
        with output.open("wb") as out:
            process = subprocess.Popen(
                ["bash", "-euc", f"exec {script.strip()} --port {self.port} --broker direct"],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        stack = RunningStack(process, self.environment["HEADWAY_URL"], self.folder / ".headway", output)
        await_ready(stack)
        return stack


class Stopwatch:
    """Says what took how long; docs/kinds.md quotes it."""

    def __init__(self) -> None:
        self._began = self._last = time.monotonic()
        self._laps: list[str] = []

    def lap(self, what: str) -> None:
        """End a stretch."""
        now = time.monotonic()
        self._laps.append(f"{what} {now - self._last:.1f} s")
        self._last = now

    def said(self) -> str:
        """Return every stretch, and the whole."""
        return f"{', '.join(self._laps)}; in all {self._last - self._began:.1f} s"


def until(condition: Callable[[], bool], say: Callable[[], str]) -> None:
    give_up = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < give_up, say()
        time.sleep(0.2)


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    yield Reader(tmp_path)
    shutil.rmtree(tmp_path / ".headway", ignore_errors=True)


@pytest.mark.timeout(300)
def test_tutorial_leads_from_an_empty_folder_to_a_live_task(
    reader: Reader, record_property: Callable[[str, object], None]
) -> None:
    (begin, up, source, test, check, submit, result, _) = [text for _, text in BLOCKS]
    kind_file = reader.folder / "kinds" / "count_words.py"
    took = Stopwatch()
    assert (done := reader.run(begin)).returncode == 0, done.stderr
    took.lap("new-kind")
    stack = reader.start(up)
    took.lap("start")
    try:
        kind_file.write_text(source, encoding="utf-8")
        until(lambda: "count_words.py changed: gateways and workers start anew" in stack.said(), stack.said)
        flags = "headway submit countWords --flags"
        until(lambda: "--pause-s" in reader.run(flags).stdout, stack.said)
        took.lap("from saving the file to its flags")
        kind_file.with_name("test_count_words.py").write_text(test, encoding="utf-8")
        assert (done := reader.run(check)).returncode == 0, done.stdout + done.stderr
        assert "3 passed" in done.stdout
        took.lap("its tests")

        done = reader.run(submit)

        assert done.returncode == 0, done.stderr
        took.lap("the task, to the end of its bar")
        record_property("tutorial", took.said())
        print(took.said())  # noqa: T201
        assert json.loads(done.stdout) == json.loads(result)
        assert "countWords SUCCEEDED 8 of 8" in done.stderr
        wordless = reader.run("headway submit countWords --text ' ' --watch")
        assert (wordless.returncode, "NO_WORDS" in wordless.stderr) == (4, True)

        kind_file.write_text(source.replace("async def count_words", "async def count_words(("), encoding="utf-8")
        until(lambda: "count_words.py changed but can't be used" in stack.said(), stack.said)
        assert "SyntaxError" in stack.said()
        assert reader.run(submit).returncode == 0
    finally:
        assert stack.stop() == 0, stack.said()
