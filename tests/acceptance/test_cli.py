"""The commands that speak to a real stack: what they print, and which exit status tells what."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from stack.process import free_port
from tests.running_stack import PROJECT, RunningStack, clean_environment

UNKNOWN_ID = "0190f5c4-7e1a-7c3b-9d2e-3f4a5b6c7d8e"


@pytest.fixture
def headway(tmp_path: Path) -> "Headway":
    return Headway(tmp_path)


class Headway:
    """Runs the command as a user would, with an empty home."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def __call__(self, *arguments: str, stdin: str = "", **environment: str) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(
            [Path(sys.executable).with_name("headway"), *arguments],
            cwd=PROJECT,
            env=clean_environment(self._home) | {"COLUMNS": "200", **environment},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "Traceback" not in done.stderr
        return done


def test_submit_prints_the_id_and_watch_the_result(headway: Headway, stack: RunningStack) -> None:
    task_input = json.dumps({"data": "cli", "iterations": 5})
    submitted = headway("submit", "processData", "--input", task_input, "--url", stack.url)
    assert submitted.returncode == 0, submitted.stderr
    task_id = submitted.stdout.strip()

    watched = headway("watch", task_id, "--url", stack.url)

    assert watched.returncode == 0, watched.stderr
    assert json.loads(watched.stdout)["totalProcessed"] == 5
    assert "processData SUCCEEDED 5 of 5" in watched.stderr


def test_submit_follows_to_the_end_when_asked(headway: Headway, stack: RunningStack, tmp_path: Path) -> None:
    file = tmp_path / "input.json"
    file.write_text('{"data": "file", "iterations": 2}')

    done = headway("submit", "processData", "--input", f"@{file}", "--watch", "--url", stack.url)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["totalProcessed"] == 2


def test_submit_reads_its_input_from_standard_input(headway: Headway, stack: RunningStack) -> None:
    done = headway("submit", "processData", "--input", "-", "--url", stack.url, stdin='{"data": "-", "iterations": 1}')

    assert done.returncode == 0, done.stderr


def test_watch_of_a_failing_task_names_its_code_and_exits_with_4(headway: Headway, stack: RunningStack) -> None:
    slow, options = json.dumps({"data": "slow", "iterations": 10_000}), json.dumps({"timeoutS": 0.2, "maxAttempts": 1})
    task = ("processData", "--input", slow, "--options", options)

    failed = headway("submit", *task, "--watch", "--url", stack.url)

    assert (failed.returncode, failed.stdout) == (4, ""), failed.stderr
    assert "TIMEOUT: " in failed.stderr


def test_refusal_names_its_code_and_field(headway: Headway, stack: RunningStack) -> None:
    too_few = headway("submit", "processData", "--input", '{"data": "x", "iterations": 0}', "--url", stack.url)
    assert (too_few.returncode, too_few.stdout) == (1, "")
    assert too_few.stderr.startswith("headway: BAD_USER_INPUT: ")
    assert "iterations" in too_few.stderr

    unknown = headway("watch", UNKNOWN_ID, "--url", stack.url)
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert unknown.stderr.startswith("headway: NOT_FOUND: ")


def test_nobody_at_the_address_is_one_line(headway: Headway) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    for arguments in (("submit", "processData", "--input", "{}"), ("watch", UNKNOWN_ID)):
        done = headway(*arguments, "--url", url)

        assert done.returncode == 3
        assert done.stderr.startswith(f"headway: {url} does not answer")
        assert len(done.stderr.splitlines()) == 1


def test_input_that_is_not_json_is_wrong_usage(headway: Headway) -> None:
    done = headway("submit", "processData", "--input", "{oops", "--url", "http://127.0.0.1:1")

    assert done.returncode == 2
    assert "expected JSON" in done.stderr


def test_schema_command_passes_its_options_on(headway: Headway) -> None:
    done = headway("schema", "--check")

    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_submit_takes_the_fields_of_the_kind_as_flags(headway: Headway, stack: RunningStack) -> None:
    done = headway("submit", "processData", "--data", "flags", "--iterations", "2", "--watch", "--url", stack.url)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["totalProcessed"] == 2

    wrong = headway("submit", "processData", "--iterations", "many", "--url", stack.url)
    assert wrong.returncode == 2
    assert "usage: headway submit processData" in wrong.stderr

    both = headway("submit", "processData", "--input", "{}", "--data", "x", "--url", stack.url)
    assert (both.returncode, "got both" in both.stderr) == (2, True)

    unknown = headway("submit", "nonsense", "--data", "x", "--url", stack.url)
    assert unknown.returncode == 1
    assert "exportItems, importItems, processData" in unknown.stderr


def test_watch_as_json_tells_every_event_and_the_result(headway: Headway, stack: RunningStack) -> None:
    task_id = headway("submit", "processData", "--data", "x", "--iterations", "2", "--url", stack.url).stdout.strip()

    done = headway("watch", task_id, "--json", "--url", stack.url)

    assert done.returncode == 0, done.stderr
    *events, ended = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["status"] for event in events if event["event"] == "StateChanged"][-1] == "SUCCEEDED"
    numbers = [tuple(map(int, event["cursor"].split("-"))) for event in events]
    assert numbers == sorted(set(numbers))
    assert (ended["event"], ended["status"], ended["result"]["totalProcessed"]) == ("Ended", "SUCCEEDED", 2)


def test_cancelled_task_is_listed_and_can_be_retried(headway: Headway, stack: RunningStack) -> None:
    later = ("--options", '{"delayS": 3600}', "--url", stack.url)
    task_id = headway("submit", "processData", "--data", "later", *later).stdout.strip()

    cancelled = headway("cancel", task_id, "--reason", "changed my mind", "--url", stack.url)
    assert (cancelled.returncode, cancelled.stdout) == (0, f"{task_id} CANCELLED\n"), cancelled.stderr

    watched = headway("watch", task_id, "--url", stack.url)
    assert (watched.returncode, "changed my mind" in watched.stderr) == (5, True)

    listed = headway("tasks", "--status", "CANCELLED", "--kind", "processData", "--json", "--url", stack.url)
    tasks = [json.loads(line) for line in listed.stdout.splitlines()]
    assert task_id in [task["id"] for task in tasks]
    assert {task["status"] for task in tasks} == {"CANCELLED"}

    retried = headway("retry", task_id, UNKNOWN_ID, "--url", stack.url)
    assert retried.returncode == 1
    assert f"headway: {UNKNOWN_ID}: NOT_FOUND: " in retried.stderr
    assert headway("watch", retried.stdout.strip(), "--url", stack.url).returncode == 0


def test_list_of_tasks_fits_80_columns(headway: Headway, stack: RunningStack) -> None:
    headway("submit", "processData", "--data", "x", "--url", stack.url)

    listed = headway("tasks", "--url", stack.url, COLUMNS="80")

    head, *rows = listed.stdout.splitlines()
    assert head.split() == ["ID", "KIND", "STATUS", "DONE", "AGE"]
    assert rows
    assert {len(row.split()[0]) for row in rows} == {36}


def test_items_import_counts_rows_and_tells_which_were_rejected(
    headway: Headway, stack: RunningStack, tmp_path: Path
) -> None:
    file = tmp_path / "some.csv"
    file.write_text("name,colour\ncli import 1,red\n,blue\ncli import 2,green\n")

    done = headway("items", "import", str(file), "--url", stack.url)

    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["inserted"], [row["line"] for row in result["rejected"]]) == (2, [3])
    assert "importItems SUCCEEDED 3 of 3" in done.stderr

    unknown = file.rename(tmp_path / "some.txt")
    refused = headway("items", "import", str(unknown), "--url", stack.url)
    assert (refused.returncode, "--format" in refused.stderr) == (2, True)


def test_shell_completes_kinds_from_the_stack(headway: Headway, stack: RunningStack) -> None:
    asked = {"_HEADWAY_COMPLETE": "complete_bash", "COMP_WORDS": "headway submit pro", "COMP_CWORD": "2"}

    done = headway(HEADWAY_URL=stack.url, **asked)

    assert done.stdout.split() == ["processData"]


def test_doctor_finds_a_running_stack_well(headway: Headway, stack: RunningStack) -> None:
    done = headway("doctor", "--data", str(stack.data))

    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    for checked in (
        "gateway",
        "gateway's clock",
        "MongoDB",
        "indexes",
        "bridge",
        "tasks",
        "Redis",
        "RabbitMQ",
        "queue",
    ):
        assert f"✓ {checked}: " in done.stdout
    assert done.stdout.endswith("All is well.\n")


def test_doctor_says_what_to_do_where_nobody_answers(headway: Headway, tmp_path: Path) -> None:
    ports = {name: free_port() for name in ("mongodb", "redis", "amqp", "http")}
    services = {
        "MONGO_URL": f"mongodb://127.0.0.1:{ports['mongodb']}",
        "REDIS_URL": f"redis://127.0.0.1:{ports['redis']}",
        "AMQP_URL": f"amqp://127.0.0.1:{ports['amqp']}",
    }

    done = headway("doctor", "--data", str(tmp_path), "--url", f"http://127.0.0.1:{ports['http']}", **services)

    assert (done.returncode, done.stderr) == (1, "")
    for down, variable in (
        ("gateway", "--url"),
        ("MongoDB", "MONGO_URL"),
        ("Redis", "REDIS_URL"),
        ("RabbitMQ", "AMQP_URL"),
    ):
        [advice] = re.findall(rf"^✗ {down}: .*\n    → (.*)$", done.stdout, re.MULTILINE)
        assert variable in advice
    assert done.stdout.endswith("4 to mend.\n")
