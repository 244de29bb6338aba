"""Which kinds a process has: those of the modules that it names, whatever else it has imported."""

import json
import subprocess
import sys
from pathlib import Path

import tests.fault_kinds
from jobs.kinds import load_kinds
from tests.fault_kinds import steps
from tests.running_stack import PROJECT, clean_environment

USUAL = ["exportItems", "importItems", "processData"]


def test_kinds_of_a_module_that_is_only_imported_are_not_installed() -> None:
    assert tests.fault_kinds.flaky.__name__ == "flaky"
    assert list(load_kinds()) == USUAL


def test_named_module_brings_its_kinds_each_time_that_it_is_named() -> None:
    for _ in range(2):
        found = load_kinds(["tests.fault_kinds"])
        assert found["flaky"].function is tests.fault_kinds.flaky
        assert set(USUAL) < set(found)


def test_named_package_brings_the_kinds_of_its_modules() -> None:
    assert "flaky" in load_kinds(["tests"])


def test_module_brings_the_kinds_that_it_imports_by_name_and_no_others() -> None:
    found = load_kinds([__name__])
    assert found["steps"].function is steps
    assert "flaky" not in found


def test_installed_package_brings_the_kinds_of_its_entry_points(tmp_path: Path) -> None:
    source, site = tmp_path / "source", tmp_path / "site"
    package = source / "our_kinds"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "words.py").write_text("from tests.fault_kinds import flaky as our_flaky\n")
    (source / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
        '[project]\nname = "our-kinds"\nversion = "1"\n'
        '[project.entry-points."headway.kinds"]\nwords = "our_kinds.words"\n'
        '[tool.setuptools]\npackages = ["our_kinds"]\n'
    )
    options = ("--no-index", "--no-deps", "--no-build-isolation", "--quiet", "--target", str(site))
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(source)], check=True, timeout=100)
    asked = "import json; from jobs.kinds import load_kinds; print(json.dumps(list(load_kinds())))"
    answers = [
        json.loads(
            subprocess.run(
                [sys.executable, "-c", asked],
                cwd=PROJECT,
                env=clean_environment(tmp_path) | path,
                capture_output=True,
                check=True,
                timeout=60,
            ).stdout
        )
        for path in ({"PYTHONPATH": str(site)}, {})
    ]

    assert answers == [sorted([*USUAL, "flaky"]), USUAL]
