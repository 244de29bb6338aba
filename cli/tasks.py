"""What the command knows of a task: how it is submitted and followed, and which exit status its end means."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from cli.client import ApiClient, Unreachable
from core.states import TaskStatus

SUBMIT = """
mutation ($kind: String!, $input: JSON!, $options: TaskOptions) {
  submitTask(kind: $kind, input: $input, options: $options) { id }
}
"""
FOLLOW = """
subscription ($id: ID!) {
  taskProgress(id: $id) {
    id kind status attempt progress { current total percent message } error { code message } resultJson cancelReason
  }
}
"""
RECONNECT_WITHIN_S = 30.0
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 3.0


class ExitStatus(IntEnum):
    """What the command's exit status says; 2 is Typer's for wrong usage, 130 the shell's for Ctrl-C."""

    SUCCEEDED = 0
    REFUSED = 1
    UNREACHABLE = 3
    FAILED = 4
    CANCELLED = 5
    EXPIRED = 6


ENDS = {
    TaskStatus.SUCCEEDED: ExitStatus.SUCCEEDED,
    TaskStatus.FAILED: ExitStatus.FAILED,
    TaskStatus.CANCELLED: ExitStatus.CANCELLED,
    TaskStatus.EXPIRED: ExitStatus.EXPIRED,
}


@dataclass(frozen=True)
class TaskView:
    """A task as one event of the subscription tells it."""

    id: str
    kind: str
    status: TaskStatus
    attempt: int
    current: int
    total: int | None
    percent: float | None
    message: str | None
    error: str | None
    result: Any
    cancel_reason: str | None

    @classmethod
    def from_api(cls, task: dict[str, Any]) -> "TaskView":
        """Return the view of what `taskProgress` yields."""
        progress, error = task["progress"], task["error"]
        return cls(
            id=task["id"],
            kind=task["kind"],
            status=TaskStatus(task["status"]),
            attempt=task["attempt"],
            current=progress["current"],
            total=progress["total"],
            percent=progress["percent"],
            message=progress["message"],
            error=f"{error['code']}: {error['message']}" if error else None,
            result=task["resultJson"],
            cancel_reason=task["cancelReason"],
        )


async def submit(client: ApiClient, kind: str, task_input: Any, options: Any = None) -> str:
    """Submit a task with TaskOptions as the API names them and return its id. Raises ApiError."""
    data = await client.execute(SUBMIT, {"kind": kind, "input": task_input, "options": options})
    return str(data["submitTask"]["id"])


async def follow(client: ApiClient, task_id: str) -> AsyncIterator[TaskView]:
    """Yield the task as it is and as it moves on, to its end. A lost connection is made anew for up to 30 s.

    Raises ApiError.
    """
    loop = asyncio.get_running_loop()
    lost_at: float | None = None
    pause_s, seen = FIRST_PAUSE_S, False
    while True:
        try:
            async for data in client.subscribe(FOLLOW, {"id": task_id}):
                view = TaskView.from_api(data["taskProgress"])
                yield view
                if view.status.is_terminal:
                    return
                lost_at, pause_s, seen = None, FIRST_PAUSE_S, True
            lost = Unreachable(f"{client.url} stopped telling of the task before its end")
        except Unreachable as exc:
            lost = exc
        lost_at = loop.time() if lost_at is None else lost_at
        if not seen or loop.time() - lost_at > RECONNECT_WITHIN_S:
            raise lost
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
