"""A live board over a real WebSocket, kept as the schema says: subscribe, list, and of two answers keep the newer."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from gql import GraphQLRequest
from gql.client import AsyncClientSession

from core.events import Cursor
from core.states import TaskStatus
from tests.acceptance.api import PROCESS, Task, execute, http_session, submit, ws_session
from tests.running_stack import RunningStack

CHANGED = """
subscription Board($filter: TaskFilter) {
  tasksChanged(filter: $filter) { __typename id kind status cursor attempt delivery progress { current percent } }
}
"""
LIST = "query ($filter: TaskFilter) { tasks(first: 100, filter: $filter) { nodes { id status cursor } } }"
OPEN = [status.value for status in TaskStatus if not status.is_terminal]
TASKS = 40


class ClientBoard(dict[str, Task]):
    """The tasks on the page, and how often each was told of its end."""

    def __init__(self, statuses: list[str]) -> None:
        super().__init__()
        self.statuses = statuses
        self.ends: Counter[str] = Counter()
        self.moved: set[str] = set()

    def merge(self, task: Task) -> None:
        """Keep the later answer; take off what does not match."""
        known = self.get(task["id"])
        if known is not None and Cursor.parse(known["cursor"]) > Cursor.parse(task["cursor"]):
            return
        if task["status"] in self.statuses:
            self[task["id"]] = task
        else:
            self.pop(task["id"], None)

    async def follow(self, session: AsyncClientSession) -> None:
        """Take in what is told until cancelled."""
        request = GraphQLRequest(CHANGED, variable_values={"filter": {"statuses": self.statuses}})
        async for data in session.subscribe(request):
            task: Task = data["tasksChanged"]
            self.ends[task["id"]] += TaskStatus(task["status"]).is_terminal
            if task["progress"]["current"]:
                self.moved.add(task["id"])
            self.merge(task)

    async def list(self, session: AsyncClientSession) -> None:
        """Take in what there is."""
        found: dict[str, Any] = await execute(session, LIST, filter={"statuses": self.statuses})
        for task in found["tasks"]["nodes"]:
            self.merge(task)


@pytest.mark.timeout(180)
async def test_a_board_shows_each_task_until_its_end_and_then_no_more(stack: RunningStack) -> None:
    board, ended = ClientBoard(OPEN), ClientBoard(["SUCCEEDED"])
    async with http_session(stack.url) as http, ws_session(stack.ws_url) as ws, ws_session(stack.ws_url) as other:
        earlier = await submit(http, PROCESS, input={"data": "earlier", "iterations": 600})
        following = [asyncio.create_task(board.follow(ws)), asyncio.create_task(ended.follow(other))]
        await board.list(http)
        assert earlier in board
        submits = [submit(http, PROCESS, input={"data": str(n), "iterations": 60}) for n in range(TASKS)]
        ids = {earlier, *await asyncio.gather(*submits)}
        async with asyncio.timeout(90):
            while not ids <= set(ended):
                for task in following:
                    assert not task.done(), task.exception()
                await asyncio.sleep(0.05)
            while board:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert ids & board.moved, "nothing was told of progress"
        assert {board.ends[task_id] for task_id in ids} == {1}
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)
