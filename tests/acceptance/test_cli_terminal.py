"""What the command looks like in a real terminal of 80 columns: nothing is wider, and nothing of a bar stays behind."""

import json
import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stack.process import free_port
from tests.running_stack import RunningStack, clean_environment

COLUMNS, LINES = 80, 40
WITHIN_S = 60.0
UNKNOWN_ID = "0190f5c4-7e1a-7c3b-9d2e-3f4a5b6c7d8e"
BAR = re.compile(r"processData +\S+ +(\d+)/2000 +\d:\d\d:\d\d +([A-Z]+)$")
LATER = '{"delayS": 3600}'
BRIEF = '{"timeoutS": 0.2, "maxAttempts": 1}'


class Terminal:
    """A shell in a window of tmux, in a folder of its own. A line that is wider than the window fails the test."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self._environment = environment
        self._server = f"headway-{secrets.token_hex(4)}"
        self._commands = 0
        size = ("-x", str(COLUMNS), "-y", str(LINES))
        self._tmux("-f", "/dev/null", "new-session", "-d", *size, "bash --noprofile --norc")

    def close(self) -> None:
        """End the shell and all that runs in it."""
        self._tmux("kill-server")

    def run(self, command: str, meanwhile: Callable[[list[str]], None] | None = None) -> tuple[list[str], int]:
        """Return the lines that a command leaves and its exit status; `meanwhile` sees the window again and again."""
        self._commands += 1
        (self.folder / "now").write_text(f"clear\n{command}\necho ended {self._commands} $?\n", encoding="utf-8")
        self._tmux("send-keys", ". ./now", "Enter")
        give_up = time.monotonic() + WITHIN_S
        ended = re.compile(rf"ended {self._commands} (\d+)")
        while True:
            lines = self._window()
            for number, line in enumerate(lines):
                if found := ended.fullmatch(line):
                    return lines[:number], int(found[1])
            assert time.monotonic() < give_up, "\n".join(lines)
            if meanwhile:
                meanwhile(lines)
            time.sleep(0.05)

    def pipe(self, command: str) -> str:
        """Return what the same command prints where nobody looks, on both of its outputs."""
        return subprocess.run(
            ["bash", "-c", f"{command} 2>&1 | cat"],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=True,
        ).stdout

    def _window(self) -> list[str]:
        whole = self._tmux("capture-pane", "-p", "-J")  # A line that was broken at the edge is one again.
        assert not [line for line in whole.splitlines() if len(line.rstrip()) > COLUMNS], whole
        return [line.rstrip() for line in whole.rstrip().splitlines()]

    def _tmux(self, *arguments: str) -> str:
        return subprocess.run(
            ["tmux", "-L", self._server, *arguments],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        ).stdout


@pytest.fixture
def terminal(stack: RunningStack, tmp_path: Path) -> Iterator[Terminal]:
    """A terminal whose command speaks to the session's stack."""
    environment = clean_environment(tmp_path)
    environment |= {
        "HEADWAY_URL": stack.url,
        "LC_ALL": "C.UTF-8",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}",
        "TERM": "xterm-256color",
        "TMUX_TMPDIR": str(tmp_path),
    }
    for name in ("COLUMNS", "LINES", "NO_COLOR", "TMUX"):
        environment.pop(name, None)
    terminal = Terminal(tmp_path, environment)
    yield terminal
    terminal.close()


def test_the_bar_keeps_to_its_line_and_moves(terminal: Terminal) -> None:
    seen: list[int] = []

    def watch(lines: list[str]) -> None:
        drawn = [line for line in lines if "processData" in line]
        assert len(drawn) <= 1, lines
        seen.extend(int(bar[1]) for line in drawn if (bar := BAR.search(line)) and bar[2] == "RUNNING")

    submit = "headway submit processData --data bar --iterations 2000 --watch >result"
    lines, status = terminal.run(submit, watch)

    assert status == 0, lines
    task_id, bar = lines
    assert re.fullmatch(r"[0-9a-f-]{36}", task_id)
    assert (ended := BAR.search(bar)), bar
    assert ended.groups() == ("2000", "SUCCEEDED")
    assert seen == sorted(seen)
    assert len(set(seen)) > 1, seen
    assert json.loads((terminal.folder / "result").read_text())["totalProcessed"] == 2000


def test_a_failing_task_leaves_its_bar_and_its_error(terminal: Terminal) -> None:
    lines, status = terminal.run(f"headway submit processData --data x --iterations 9000 --options '{BRIEF}' --watch")

    assert status == 4, lines
    assert "FAILED" in lines[1]
    assert lines[2].startswith("TIMEOUT: ")


def test_the_table_has_one_line_a_task(terminal: Terminal) -> None:
    later, _ = terminal.run(f"headway submit processData --data later --options '{LATER}'")
    submitted, _ = terminal.run(f"headway submit processData --data later --options '{LATER}'")
    cancelled, status = terminal.run(f"headway cancel {submitted[0]} --reason 'changed my mind'")
    assert (cancelled, status) == ([f"{submitted[0]} CANCELLED"], 0)

    (head, *rows), status = terminal.run("headway tasks -n 20")

    assert status == 0
    assert head.split() == ["ID", "KIND", "STATUS", "DONE", "AGE"]
    assert 2 <= len(rows) <= 20
    shown = {row.split()[0]: row.split()[2] for row in rows}
    assert (shown[later[0]], shown[submitted[0]]) == ("SCHEDULED", "CANCELLED")
    assert {len(task_id) for task_id in shown} == {36}
    assert {head.index("STATUS")} == {row.index(row.split()[2]) for row in rows}


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("headway submit nonsense --data x", 1),
        ("headway submit processData --data x --iterations 0", 1),
        (f"headway watch {UNKNOWN_ID}", 1),
        (f"headway retry {UNKNOWN_ID} 0190f5c4-7e1a-7c3b-9d2e-3f4a5b6c7d8f", 1),
        ("headway tasks --url http://127.0.0.1:1", 3),
    ],
    ids=["unknown kind", "bad input", "unknown task", "unknown tasks", "nobody there"],
)
def test_an_error_is_broken_between_words_and_loses_none(terminal: Terminal, command: str, status: int) -> None:
    lines, ended = terminal.run(command)

    assert ended == status
    assert lines[0].startswith("headway: ")
    assert " ".join(lines).split() == terminal.pipe(command).split()


def test_wrong_usage_fits(terminal: Terminal) -> None:
    lines, status = terminal.run("headway submit processData --iterations many")
    assert status == 2
    assert "usage: headway submit processData" in " ".join(lines)

    lines, status = terminal.run("headway tasks --status ASLEEP")
    assert status == 2
    assert "ASLEEP" in " ".join(lines)

    lines, status = terminal.run("headway --help")
    assert status == 0
    assert any(line.startswith("│ doctor") for line in lines)


def test_a_finding_of_the_doctor_goes_on_below_its_text(terminal: Terminal, stack: RunningStack) -> None:
    lines, status = terminal.run(f"ln -sfn {stack.data} d && headway doctor --data d")
    assert (status, lines[-1]) == (0, "All is well."), lines

    down = f"http://127.0.0.1:{free_port()}"
    lines, status = terminal.run(f"headway doctor --data d --url {down}")
    assert (status, lines[-1]) == (1, "1 to mend.")
    assert lines[0].startswith("✗ gateway: ")
    assert lines[1].startswith("  ")
    assert any(line.startswith("    → start it with `headway up`") for line in lines)
