"""The children of one stack: launched in chains, started again with a growing pause when they die, ended in stages."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stack.process import Child, Guard, ProcessFailed, Program
from stack.state import RunningProcess

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0
STEADY_AFTER_S = 30.0
"""A child that lived this long is steady: its next death is no reason to wait."""


class Backoff:
    """How long to wait before a child is started again: twice as long each time, up to a bound."""

    def __init__(self) -> None:
        self._pause_s = FIRST_PAUSE_S

    def next_pause_s(self, lived_s: float) -> float:
        """Return the pause after a life of `lived_s`; a long one starts over with the first pause."""
        if lived_s >= STEADY_AFTER_S:
            self._pause_s = FIRST_PAUSE_S
        pause_s, self._pause_s = self._pause_s, min(self._pause_s * 2, LONGEST_PAUSE_S)
        return pause_s


@dataclass
class Member:
    """A child and what is remembered of it. `due` is the time at which it is to be started again."""

    child: Child
    started_at: float
    backoff: Backoff = field(default_factory=Backoff)
    due: float | None = None
    restarts: int = 0
    replaced: bool = False
    """Whether it was told to end so that it starts anew; that is no death to tell of."""

    def schedule_restart(self, now: float) -> float:
        """Set `due` and return the pause until then."""
        pause_s = self.backoff.next_pause_s(now - self.started_at)
        self.due = now + pause_s
        return pause_s


class Crew:
    """All children. `changed` is called when one was started, `say` takes a line about what went wrong."""

    def __init__(self, logs: Path, guard: Guard, changed: Callable[[], None], say: Callable[[str], None]) -> None:
        self._logs = logs
        self._guard = guard
        self._changed = changed
        self._say = say
        self._members: dict[str, Member] = {}
        self._died = asyncio.Event()
        self._hurry = False

    def note_death(self) -> None:
        """Have `keep_up` look at once: a child may have ended (SIGCHLD)."""
        self._died.set()

    def processes(self) -> dict[str, RunningProcess]:
        """Return every child by its role, in the order of the first start."""
        return {
            role: RunningProcess(member.child.pid, member.child.program.port, member.child.program.url, member.restarts)
            for role, member in self._members.items()
            if member.child.pid is not None
        }

    async def launch(self, chains: Iterable[Sequence[Program]]) -> None:
        """Start chains side by side, the programs of each one by one, until all answer. Raises ProcessFailed."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for chain in chains:
                    tasks.create_task(self._launch_chain(chain))
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from failures

    async def _launch_chain(self, chain: Sequence[Program]) -> None:
        for program in chain:
            child = Child(program, self._logs / f"{program.role}.log", self._guard)
            child.start()
            self._members[program.role] = Member(child, time.monotonic())
            self._changed()
            await asyncio.to_thread(child.await_ready)

    async def keep_up(self) -> None:
        """Start again what dies, until cancelled."""
        while True:
            self._died.clear()
            now = time.monotonic()
            for member in self._members.values():
                if member.replaced and not member.child.running:
                    member.replaced, member.due = False, now
                if member.due is None and not member.child.running:
                    self._report(member, member.schedule_restart(now))
                elif member.due is not None and member.due <= now:
                    self._start_again(member, now)
            due = [member.due for member in self._members.values() if member.due is not None]
            await self._await_death(min(due) - now if due else None)

    def replace(self, roles: Sequence[str]) -> None:
        """Have `keep_up` start the children of some roles anew, each once it has stopped by itself."""
        for name, member in self._members.items():
            if any(_is_one_of(role, name) for role in roles) and member.child.running:
                member.replaced = True
                member.child.ask_to_stop()

    async def _await_death(self, at_most_s: float | None) -> None:
        try:
            async with asyncio.timeout(at_most_s):
                await self._died.wait()
        except TimeoutError:
            return

    def _report(self, member: Member, pause_s: float) -> None:
        status, role = member.child.exit_status or 0, member.child.program.role
        how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
        self._say(f"{role} {how}; starting it again in {pause_s:g} s (log: {member.child.log})")

    def _start_again(self, member: Member, now: float) -> None:
        try:
            member.child.start()
        except ProcessFailed as exc:
            self._say(f"{exc}; trying again in {member.schedule_restart(now):g} s")
            return
        member.due = None
        member.started_at = now
        member.restarts += 1
        self._changed()

    async def stop(self, roles: Sequence[str], within_s: float) -> None:
        """End the children of some roles ("worker" means all workers) together; kill what is left after `within_s`."""
        children = [
            member.child
            for name, member in self._members.items()
            if any(name == role or _is_one_of(role, name) for role in roles)
        ]
        for child in children:
            child.ask_to_stop()
        give_up = time.monotonic() + within_s
        while not self._hurry and any(child.running for child in children):
            left_s = give_up - time.monotonic()
            if left_s <= 0:
                break
            await self._await_death(left_s)
            self._died.clear()
        for child in children:
            if not child.await_end(within_s=0) and not self._hurry:
                self._say(f"{child.program.role} did not stop in time and was killed")

    def hurry(self) -> None:
        """Have every stop, also the one under way, kill at once."""
        self._hurry = True
        self._died.set()


def _is_one_of(role: str, name: str) -> bool:
    stem, _, number = name.rpartition("-")
    return stem == role and number.isdecimal()
