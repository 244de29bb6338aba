"""Programs of users that tests run to their end, in time or not at all; among them test files for Node.js."""

import asyncio
import os
import re
import shutil
from pathlib import Path

from tests.running_stack import PROJECT

NODE_TESTS = PROJECT / "tests" / "node"


async def printed_by(*command: str | Path, cwd: Path, within_s: float, **environment: str) -> str:
    """Return what a program printed, errors included; it has to succeed."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=cwd,
        env={"PATH": os.environ["PATH"], **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(within_s):
            out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, out.decode()
    return out.decode()


async def pass_on_node(file: str, within_s: float, **environment: str) -> None:
    """Run a file of tests/node; every test in it has to pass."""
    node = shutil.which("node")
    assert node, "no node on the PATH: `make test` brings one"
    assert (NODE_TESTS / "node_modules").is_dir(), f"run `npm ci` in {NODE_TESTS}, or `make test`"
    reporter = "--test-reporter=tap"  # Later versions of Node.js have another default.
    said = await printed_by(node, reporter, file, cwd=NODE_TESTS, within_s=within_s, **environment)
    assert re.search(r"^# fail 0$", said, re.MULTILINE), said
    assert re.search(r"^# skipped 0$", said, re.MULTILINE), said
