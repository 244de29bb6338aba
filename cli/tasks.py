"""What the command knows of a task: how it is submitted and followed, and which exit status its end means."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from cli.client import ApiClient, ApiError, Refused, Unreachable
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
EVENTS = """
subscription ($id: ID!, $after: String) {
  taskEvents(id: $id, after: $after) {
    event: __typename cursor at attempt delivery
    ... on StateChanged { status by reason error { code message } }
    ... on Progressed { progress { current total percent message } }
    ... on Logged { text }
    ... on Gap { missedAfter: after missedBefore: before why }
  }
}
"""
LIST = """
query ($first: Int!, $filter: TaskFilter) {
  tasks(first: $first, filter: $filter) {
    nodes {
      id kind status attempt createdAt finishedAt progress { current total percent message } error { code message }
    }
  }
}
"""
KINDS = "{ taskKinds { name description inputSchema } }"
CANCEL = "mutation ($id: ID!, $reason: String) { cancelTask(id: $id, reason: $reason) { status } }"
RETRY = "mutation ($id: ID!) { retryTask(id: $id) { id } }"
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


async def read_kind(client: ApiClient, name: str) -> dict[str, Any]:
    """Return a kind as the API tells it. Raises ApiError, Refused naming those that are installed if it is not."""
    kinds = {kind["name"]: kind for kind in (await client.execute(KINDS, {}))["taskKinds"]}
    if name not in kinds:
        message = f"expected one of the installed kinds ({', '.join(kinds)}), got {name!r}"
        raise Refused([{"message": message, "extensions": {"code": "NOT_FOUND"}}])
    return dict(kinds[name])


async def list_tasks(client: ApiClient, task_filter: dict[str, Any], first: int) -> list[dict[str, Any]]:
    """Return the newest tasks that match. Raises ApiError."""
    return list((await client.execute(LIST, {"first": first, "filter": task_filter}))["tasks"]["nodes"])


async def cancel(client: ApiClient, task_id: str, reason: str | None) -> TaskStatus:
    """Ask for a task's end and return its status now: CANCELLED, or CANCELLING while it runs. Raises ApiError."""
    return TaskStatus((await client.execute(CANCEL, {"id": task_id, "reason": reason}))["cancelTask"]["status"])


async def retry(client: ApiClient, task_id: str) -> str:
    """Submit an ended task again and return the new one's id. Raises ApiError."""
    return str((await client.execute(RETRY, {"id": task_id}))["retryTask"]["id"])


async def follow(client: ApiClient, task_id: str) -> AsyncGenerator[TaskView, None]:
    """Yield the task as it is and as it moves on, to its end. A lost connection is made anew for up to 30 s.

    Raises ApiError.
    """
    async with aclosing(_subscribe_anew(client, FOLLOW, {"id": task_id})) as answers:
        async for data in answers:
            view = TaskView.from_api(data["taskProgress"])
            yield view
            if view.status.is_terminal:
                return


async def follow_events(client: ApiClient, task_id: str) -> AsyncGenerator[dict[str, Any], None]:
    """Yield each event of the task once, to its end, however often the connection is lost on the way.

    Raises ApiError.
    """
    variables = {"id": task_id, "after": None}
    async with aclosing(_subscribe_anew(client, EVENTS, variables)) as answers:
        async for data in answers:
            event = data["taskEvents"]
            variables["after"] = event["cursor"]
            yield event
            if "status" in event and TaskStatus(event["status"]).is_terminal:
                return


async def _subscribe_anew(
    client: ApiClient, query: str, variables: dict[str, Any]
) -> AsyncGenerator[dict[str, Any], None]:
    """Subscribe, and again with what `variables` hold by then when the connection is lost, for up to 30 s."""
    loop = asyncio.get_running_loop()
    lost_at: float | None = None
    pause_s, seen = FIRST_PAUSE_S, False
    while True:
        try:
            async with aclosing(client.subscribe(query, variables)) as answers:
                async for data in answers:
                    lost_at, pause_s, seen = None, FIRST_PAUSE_S, True
                    yield data
            lost: ApiError = Unreachable(f"{client.url} stopped telling of the task before its end")
        except Unreachable as exc:
            lost = exc
        except Refused as exc:
            if exc.code != "UNAVAILABLE":
                raise
            lost = exc
        lost_at = loop.time() if lost_at is None else lost_at
        if not seen or loop.time() - lost_at > RECONNECT_WITHIN_S:
            raise lost
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
