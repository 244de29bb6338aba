"""`headway new-kind` writes what works at once, and nothing over what is there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from strawberry.utils.str_converters import to_snake_case

from cli.new_kind import why_not
from gateway.schema import BUILT_IN
from tests.running_stack import PROJECT, clean_environment


def new_kind(folder: Path, name: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [Path(sys.executable).with_name("headway"), "new-kind", name],
        cwd=folder,
        env=clean_environment(folder) | {"COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_new_kind_passes_its_own_test_and_is_never_overwritten(tmp_path: Path) -> None:
    made = new_kind(tmp_path, "count_words")
    assert (made.returncode, made.stdout) == (0, "kinds/count_words.py\nkinds/test_count_words.py\n"), made.stderr

    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "kinds", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env=clean_environment(tmp_path) | {"PYTHONPATH": os.pathsep.join(("kinds", str(PROJECT)))},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "1 passed" in tested.stdout, tested.stdout

    kept = (tmp_path / "kinds" / "count_words.py").read_text()
    again = new_kind(tmp_path, "count_words")
    assert (again.returncode, again.stdout) == (2, "")
    assert "kinds/count_words.py is there already and is not overwritten" in again.stderr
    assert (tmp_path / "kinds" / "count_words.py").read_text() == kept


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("CountWords", "snake_case"),
        ("../up", "snake_case"),
        ("", "snake_case"),
        ("x" * 61, "at most 60"),
        ("test_words", "a test"),
        ("class", "a word of Python"),
        ("match", "a word of Python"),
        ("json", "a Python module"),
    ],
)
def test_name_that_no_kind_can_have_is_refused_with_its_reason(name: str, reason: str) -> None:
    assert reason in why_not(name)


def test_names_of_the_api_s_own_mutations_are_all_refused() -> None:
    for name in BUILT_IN:
        assert "Headway's own" in why_not(to_snake_case(name))


def test_usual_name_is_free() -> None:
    assert why_not("count_words") == ""
