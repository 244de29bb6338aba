"""A folder of kinds beside the stack: named to its processes, and watched for files that are saved."""

import asyncio
import os
import sys
from collections.abc import Callable, Mapping, MutableMapping
from pathlib import Path

from stack.crew import Crew
from stack.services import PROJECT

LOOK_EVERY_S = 0.5
TRIAL_TIMEOUT_S = 60.0
MODULES, PATH = "HEADWAY_KIND_MODULES", "PYTHONPATH"
TRIAL = (
    "from core.settings import Settings; from gateway.schema import build_schema; from jobs.kinds import load_kinds; "
    "build_schema(load_kinds(Settings().extra_kinds))"
)
"""What every gateway does with the kinds first; a process of its own shows whether it can."""
Snapshot = Mapping[Path, tuple[int, int]]
NO_KINDS = ("test_", "conftest")


def kind_files(folder: Path | None) -> list[Path]:
    """Return the modules of kinds in a folder, by name: not its tests, nor what begins with an underscore."""
    if folder is None or not folder.is_dir():
        return []
    return sorted(path for path in folder.glob("*.py") if not path.name.startswith(("_", *NO_KINDS)))


def name_kinds(folder: Path | None, environment: MutableMapping[str, str]) -> None:
    """Add the folder's modules to what the environment names already, for the processes started from now on."""
    files = kind_files(folder)
    if folder is None or not files:
        return
    named = [name for name in environment.get(MODULES, "").split(",") if name.strip()]
    environment[MODULES] = ",".join(dict.fromkeys([*named, *(path.stem for path in files)]))
    paths = [path for path in environment.get(PATH, "").split(os.pathsep) if path]
    environment[PATH] = os.pathsep.join(dict.fromkeys([str(folder), *paths]))


async def reload_forever(folder: Path | None, seen: Snapshot, crew: Crew, say: Callable[[str], None]) -> None:
    """Start gateways and workers anew whenever kinds are no longer as `seen`, until cancelled.

    Kinds that can't be loaded change nothing but a line that says why.
    """
    given = os.environ.get(MODULES, "").split(",")
    without_folder = [name for name in given if name not in {path.stem for path in kind_files(folder)}]
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        now = snapshot(folder)
        if now == seen:
            continue
        changed = ", ".join(sorted({path.name for path, _ in now.items() ^ seen.items()}))
        seen = now
        wanted = dict(os.environ) | {MODULES: ",".join(without_folder)}
        name_kinds(folder, wanted)
        if reason := await _why_not(wanted):
            say(f"{changed} changed but can't be used, so all stays as it was: {reason}")
            continue
        os.environ.update(wanted)
        say(f"{changed} changed: gateways and workers start anew")
        crew.replace(("gateway", "worker"))


def snapshot(folder: Path | None) -> Snapshot:
    """Return when each module of kinds, or of what they share, was written, and how long it is."""
    found = {}
    for path in (path for each in (folder, PROJECT / "jobs" / "kinds") if each for path in each.glob("*.py")):
        if path.name.startswith(NO_KINDS):
            continue
        try:
            status = path.stat()
        except FileNotFoundError:  # It went between the listing and this look.
            continue
        found[path] = (status.st_mtime_ns, status.st_size)
    return found


async def _why_not(environment: Mapping[str, str]) -> str:
    """Return why the kinds that the environment names can't be loaded, "" if they can."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", TRIAL),
        cwd=PROJECT,
        env=dict(environment),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(TRIAL_TIMEOUT_S):
            _, said = await process.communicate()
    except TimeoutError:
        return f"loading them took longer than {TRIAL_TIMEOUT_S:g} s"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    lines = said.decode(errors="replace").strip().splitlines()
    return (lines[-1] if lines else "no reason was given") if process.returncode else ""
