"""A subscriber as a real client is one: graphql-transport-ws, back after every break, to another replica each time."""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

from core.events import Cursor
from core.states import Delivery, TaskStatus

FOLLOW = """subscription ($id: ID!) { taskProgress(id: $id, maxHz: 60) {
  cursor status attempt delivery progress { current total message } error { code } } }"""
SUBPROTOCOL = Subprotocol("graphql-transport-ws")
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 2.0
OPEN_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Seen:
    """One `next` as it came. `connection` counts the follower's connections, from 1; `at` is the wall clock."""

    at: float
    connection: int
    cursor: Cursor
    status: TaskStatus
    attempt: int
    current: int
    message: str | None
    delivery: Delivery


@dataclass
class Story:
    """Everything that one subscriber saw of its task."""

    task_id: str
    seen: list[Seen] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    breaks: list[float] = field(default_factory=list)
    resumed_after_s: list[float] = field(default_factory=list)
    """From a break to the first `next` on another connection."""
    completed: bool = False
    is_slow: bool = False
    """Whether the reader takes its time, so that what it reads is as old as what waits before it."""

    @property
    def ended(self) -> bool:
        """Whether it saw a terminal state."""
        return bool(self.seen) and self.seen[-1].status.is_terminal


class Refused(Exception):
    """The server answered with an error that trying again does not change; its code is the argument."""


class Follower:
    """Follows one task to its end. `sockets` are the replicas' addresses, tried in turn from the `first` on."""

    def __init__(self, task_id: str, sockets: Sequence[str], first: int, *, pause_after_next_s: float = 0.0) -> None:
        self.story = Story(task_id, is_slow=pause_after_next_s > 0)
        self._sockets = sockets
        self._turn = first
        self._connection = 0
        self._pause_s = pause_after_next_s

    async def run(self) -> Story:
        """Follow until the end has been seen, or the server refuses; comes back after every break."""
        pause_s = FIRST_PAUSE_S
        while not self.story.ended:
            known = len(self.story.seen)
            try:
                await self._follow_once()
            except Refused as refused:
                self.story.errors.append(str(refused))
                break
            except (OSError, WebSocketException, TimeoutError, EOFError) as exc:
                self.story.reasons.append(f"{type(exc).__name__}: {exc}"[:200])
            if self.story.ended:
                break
            if len(self.story.seen) > known:
                self.story.breaks.append(time.monotonic())
                pause_s = FIRST_PAUSE_S
            self._turn += 1
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))
            pause_s = min(LONGEST_PAUSE_S, pause_s * 2)
        return self.story

    async def _follow_once(self) -> None:
        address = self._sockets[self._turn % len(self._sockets)]
        async with connect(
            address,
            subprotocols=[SUBPROTOCOL],
            open_timeout=OPEN_TIMEOUT_S,
            ping_interval=5,
            ping_timeout=5,
            close_timeout=1,
            compression=None,
            max_queue=4,
        ) as socket:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                await socket.send('{"type":"connection_init"}')
                await socket.recv()
            self._connection += 1
            request = {"query": FOLLOW, "variables": {"id": self.story.task_id}}
            await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": request}))
            async for task in self._tasks(socket):
                self._note(task)
                if self._pause_s:
                    await asyncio.sleep(self._pause_s)

    async def _tasks(self, socket: ClientConnection) -> AsyncIterator[dict[str, Any]]:
        async for text in socket:
            frame = json.loads(text)
            match frame["type"]:
                case "next" if frame["payload"].get("data"):
                    yield frame["payload"]["data"]["taskProgress"]
                case "next":
                    raise TimeoutError(frame["payload"]["errors"])
                case "error":
                    code = frame["payload"][0].get("extensions", {}).get("code", "?")
                    if code != "UNAVAILABLE":
                        raise Refused(code)
                    raise TimeoutError(code)
                case "complete":
                    self.story.completed = True
                    return

    def _note(self, task: dict[str, Any]) -> None:
        story, progress = self.story, task["progress"]
        if len(story.breaks) > len(story.resumed_after_s):
            story.resumed_after_s.append(time.monotonic() - story.breaks[-1])
        story.seen.append(
            Seen(
                time.time(),
                self._connection,
                Cursor.parse(task["cursor"]),
                TaskStatus(task["status"]),
                task["attempt"],
                progress["current"],
                progress["message"],
                Delivery(task["delivery"]),
            )
        )
