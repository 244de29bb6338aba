"""The wheel: an install of it has the pages and nginx's template, without the source tree."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.running_stack import PROJECT

ASK = """
from core.settings import Settings
from gateway.pages import Pages
from stack.services import NGINX_TEMPLATE
print(Pages(Settings().ui_dist).explorer().path)
print(NGINX_TEMPLATE)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of a copy of this tree, so that the build leaves nothing here."""
    if not (PROJECT / "ui/dist/index.html").is_file():
        pytest.skip("the pages are not built: make ui")
    tree, out = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("wheel")
    listed = subprocess.run(
        [
            "git",
            "ls-files",
            "--",
            "cli",
            "core",
            "gateway",
            "jobs",
            "stack",
            "nginx",
            "pyproject.toml",
            "setup.py",
            "README.md",
        ],
        cwd=PROJECT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    for name in [*listed, *(str(path.relative_to(PROJECT)) for path in (PROJECT / "ui/dist").rglob("*"))]:
        if (PROJECT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_bytes((PROJECT / name).read_bytes())
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--wheel-dir", str(out))
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(tree)], check=True)
    return next(out.glob("headway-*.whl"))


def test_wheel_has_the_pages_and_the_template(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    built = {str(path.relative_to(PROJECT / "ui/dist")) for path in (PROJECT / "ui/dist").rglob("*") if path.is_file()}
    assert {f"gateway/dist/{name}" for name in built} <= names
    assert "stack/nginx.conf.template" in names
    assert not [name for name in names if name.startswith(("tests/", "ui/"))]


def test_what_is_installed_finds_them(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    asked = [sys.executable, "-c", ASK]
    done = subprocess.run(asked, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True)
    page, template = done.stdout.split()
    assert Path(page) == tmp_path / "site/gateway/dist/index.html"
    assert Path(template) == tmp_path / "site/stack/nginx.conf.template"
    assert Path(page).is_file()
    assert Path(template).is_file()
