"""Which files of a folder are kinds, how they are named to processes, and what counts as a change."""

import itertools
import os
from pathlib import Path

from stack.reload import MODULES, PATH, kind_files, name_kinds, snapshot


def folder_with(tmp_path: Path, *names: str) -> Path:
    for name in names:
        (tmp_path / name).write_text("")
    return tmp_path


def test_tests_and_private_modules_are_no_kinds(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, "b.py", "a.py", "test_a.py", "_shared.py", "conftest.py", "notes.txt")

    assert [path.name for path in kind_files(folder)] == ["a.py", "b.py"]
    assert kind_files(tmp_path / "missing") == []


def test_kinds_are_named_beside_what_is_named_already_and_once(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, "a.py", "b.py")
    environment = {MODULES: "elsewhere,a", PATH: "lib"}

    for _ in range(2):
        name_kinds(folder, environment)

    assert environment == {MODULES: "elsewhere,a,b", PATH: f"{folder}{os.pathsep}lib"}


def test_folder_without_kinds_names_nothing(tmp_path: Path) -> None:
    environment: dict[str, str] = {}

    name_kinds(folder_with(tmp_path, "test_a.py"), environment)

    assert environment == {}


def test_saved_new_and_removed_files_are_changes(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, "a.py")
    seen = [snapshot(folder)]
    (folder / "a.py").write_text("x = 1\n")
    seen.append(snapshot(folder))
    (folder / "b.py").write_text("")
    seen.append(snapshot(folder))
    (folder / "a.py").unlink()
    seen.append(snapshot(folder))
    (folder / "_shared.py").write_text("")
    seen.append(snapshot(folder))
    (folder / "test_a.py").write_text("")

    assert [before == after for before, after in itertools.pairwise(seen)] == [False] * 4
    assert snapshot(folder) == seen[-1]
