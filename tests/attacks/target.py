"""The gateway under attack: a process of its own with 3 GB of address space, watched by the probe."""

import asyncio
import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import msgspec

from core.settings import Settings
from tests.attacks.probe import Findings
from tests.environments import environment_of

FULL = os.environ.get("HEADWAY_ATTACKS") == "full"
"""`make attacks`; otherwise the short form, a part of the whole suite."""
ADDRESS_SPACE = 3 * 1024**3
HELD = ("headway_open_sockets", "headway_open_streams", "headway_running_operations", "headway_relay_subscribers")
LONGEST_GAP_S = 1.0
MEMORY_MARGIN = 128 * 1024**2
SETTLED_WITHIN_S = 60.0
TIMES = {
    "HEADWAY_HEADER_TIMEOUT_S": "5",
    "HEADWAY_BODY_TIMEOUT_S": "8",
    "HEADWAY_INIT_TIMEOUT_S": "5",
    "HEADWAY_STALLED_WRITE_S": "2",
    "HEADWAY_PING_INTERVAL_S": "600",
}
"""Shorter than the defaults, so that a test waits for them; but bare clients answer no pings."""


@dataclass
class Target:
    """A running gateway, and what its answers to an attack were."""

    pid: int
    port: int
    log: Path
    statuses: list[int] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)
    """The longest one of each attack, in seconds."""
    growths: list[int] = field(default_factory=list)
    """By how many bytes each attack left the memory greater."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def memory(self) -> int:
        """Its resident memory in bytes."""
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
        assert found is not None
        return int(found[1]) * 1024

    async def gauges(self) -> Mapping[str, float]:
        """Return its metrics that have no labels or that count what runs, each summed over its labels."""
        async with httpx.AsyncClient(base_url=self.url, timeout=20) as client:
            text = (await client.get("/metrics")).text
        sums: dict[str, float] = {}
        for name, value in re.findall(r"^(headway_\w+)(?:\{.*\})? ([0-9.e+-]+)$", text, re.MULTILINE):
            sums[name] = sums.get(name, 0.0) + float(value)
        return sums

    async def held(self) -> Mapping[str, float]:
        """Return what it holds for clients, without what is nothing; whoever asks and the probe are not counted."""
        gauges = await self.gauges()
        held = {name: gauges.get(name, 0.0) for name in HELD} | {"connections": gauges["headway_connections"] - 2}
        return {name: value for name, value in held.items() if value > 0}


@asynccontextmanager
async def attacked(target: Target, margin: int = MEMORY_MARGIN) -> AsyncIterator[Target]:
    """Attack inside. Then no answer was a 5xx, the probe never waited a second, and nothing of the attack is left.

    The memory may have grown by `margin` bytes.
    """
    target.statuses.clear()
    memory, logged = target.memory, target.log.stat().st_size
    probe = subprocess.Popen(  # noqa: ASYNC220  # It takes a millisecond.
        [sys.executable, "-m", "tests.attacks.probe", str(target.port), str(target.pid)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert probe.stdout is not None
        assert await asyncio.to_thread(probe.stdout.readline) == b"watching\n"
        yield target
        await _await_settled(target, memory, margin)
    except BaseException:
        probe.kill()
        probe.communicate()
        raise
    findings = msgspec.json.decode(probe.communicate(timeout=30)[0], type=Findings)
    target.gaps.append(findings.longest_s)
    target.growths.append(target.memory - memory)
    assert findings.wrong == []
    assert findings.longest_s < LONGEST_GAP_S, f"{findings.longest_s:.2f} s without an answer, of {findings.answers}"
    assert [status for status in target.statuses if status >= 500] == []
    log = target.log.read_bytes()[logged:].decode(errors="replace")
    assert "Traceback" not in log, log[:4_000]
    assert '"level":"error"' not in log, log[-4_000:]


async def _await_settled(target: Target, memory: int, margin: int) -> None:
    give_up = time.monotonic() + SETTLED_WITHIN_S
    while True:
        held, grown = await target.held(), target.memory - memory
        if not held and grown < margin:
            return
        assert time.monotonic() < give_up, f"left: {held}, memory grown by {grown / 1024**2:.0f} MB"
        await asyncio.sleep(0.1)


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))


@contextmanager
def running_target(settings: Settings, folder: Path, **changes: str) -> Iterator[Target]:
    """Run `python -m gateway` and end it."""
    own = {"HEADWAY_PORT": "0", "HEADWAY_LOG_LEVEL": "info", "HEADWAY_REQUEST_LOG": "false"}
    environment = environment_of(settings, **own | TIMES | changes)
    log = folder / "gateway.log"
    with (
        log.open("wb") as out,
        subprocess.Popen(
            [sys.executable, "-m", "gateway"],
            env=environment,
            stdout=out,
            stderr=out,
            preexec_fn=_limit,  # noqa: PLW1509
        ) as process,
    ):
        try:
            yield Target(process.pid, _await_port(process, log), log)
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()


def _await_port(process: "subprocess.Popen[bytes]", log: Path) -> int:
    give_up = time.monotonic() + 60
    while not (found := re.search(r'"port":(\d+)', log.read_text(errors="replace"))):
        assert process.poll() is None, log.read_text(errors="replace")
        assert time.monotonic() < give_up, log.read_text(errors="replace")
        time.sleep(0.05)
    return int(found[1])
