"""Installs the peers of the task path: each in a folder of its own under build/bench/tasks, at the versions it pins."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from stack.services import PROJECT

SOURCES = Path(__file__).resolve().parent / "peers" / "tasks"
BUILT = PROJECT / "build" / "bench" / "tasks"
PYTHON_PEERS = ("seed", "arq", "taskiq", "dramatiq")
NODE_PEERS = ("bullmq",)


def install(name: str) -> Path:
    """Install a peer unless it is there in the version pinned; return the folder of its programs.

    Raises subprocess.CalledProcessError if its registry does not answer.
    """
    pins = SOURCES / name / ("package-lock.json" if name in NODE_PEERS else "requirements.txt")
    folder, mark = BUILT / name, hashlib.sha256(pins.read_bytes()).hexdigest()
    installed = folder / "installed"
    if not installed.exists() or installed.read_text(encoding="utf-8") != mark:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        if name in NODE_PEERS:
            _npm(name, folder)
        else:
            _pip(pins, folder)
    if name in NODE_PEERS:
        shutil.copytree(SOURCES / name, folder, dirs_exist_ok=True)
    installed.write_text(mark, encoding="utf-8")
    return folder if name in NODE_PEERS else folder / "bin"


def _pip(pins: Path, folder: Path) -> None:
    uv = (sys.executable, "-m", "uv")
    subprocess.run((*uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder), check=True)
    python = ("--python", folder / "bin" / "python")
    subprocess.run((*uv, "pip", "install", "--quiet", *python, "--require-hashes", "-r", pins), check=True)


def _npm(name: str, folder: Path) -> None:
    for file in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(SOURCES / name / file, folder)
    node = PROJECT / "requirements" / "node"
    subprocess.run((node, "npm", "ci", "--silent", "--no-fund", "--no-audit"), cwd=folder, check=True)
