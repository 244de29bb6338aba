"""A client that shows all tasks: it follows what changes, and lists what there is after every break."""

import asyncio
from collections.abc import Collection
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from core.events import Cursor
from core.states import TaskStatus
from tests.faults.follower import returning
from tests.faults.subscription import BREAKS, Refused, subscribe
from tests.faults.world import World, until

FOLLOW = "subscription { tasksChanged(maxHz: 1) { id status cursor } }"
LIST = """query ($after: String) { tasks(first: 100, after: $after) {
  nodes { id status cursor } pageInfo { hasNextPage endCursor } } }"""


@dataclass(frozen=True)
class Shown:
    """A task as the board shows it."""

    cursor: Cursor
    status: TaskStatus


class Board:
    """Shows all tasks of the world, whatever breaks. `first` chooses the replica it begins with."""

    def __init__(self, world: World, first: int) -> None:
        self.shown: dict[UUID, Shown] = {}
        self.broken: list[str] = []
        self._world = world
        self._first = first
        self._heard = 0

    async def run(self) -> None:
        """Follow until cancelled."""
        sockets = self._world.sockets()
        async for connection in returning(lambda: self._heard):
            listing = asyncio.create_task(self._list(), name="board: list")
            try:
                await self._follow(sockets[(self._first + connection) % len(sockets)])
            except Refused as refused:
                self.broken.append(f"a board was refused: {refused}")
                return
            except BREAKS:
                continue
            finally:
                listing.cancel()
                await asyncio.gather(listing, return_exceptions=True)
            self.broken.append("a board was told that there is nothing more to come")

    async def _follow(self, address: str) -> None:
        latest: dict[str, Cursor] = {}
        async with aclosing(subscribe(address, FOLLOW, {})) as answers:
            async for data in answers:
                self._heard += 1
                told = data["tasksChanged"]
                cursor = Cursor.parse(told["cursor"])
                if cursor < latest.get(told["id"], cursor):
                    self.broken.append(f"a board was told {cursor} of {told['id']} after {latest[told['id']]}")
                latest[told["id"]] = cursor
                self._show(told)

    async def _list(self) -> None:
        page: dict[str, Any] = {"endCursor": None, "hasNextPage": True}
        while page["hasNextPage"]:
            tasks = (await self._world.ask(LIST, after=page["endCursor"]))["tasks"]
            for node in tasks["nodes"]:
                self._show(node)
            page = tasks["pageInfo"]

    def _show(self, told: dict[str, Any]) -> None:
        """Keep of two answers about a task the one with the greater cursor."""
        task_id, shown = UUID(told["id"]), Shown(Cursor.parse(told["cursor"]), TaskStatus(told["status"]))
        known = self.shown.get(task_id)
        if known is None or shown.cursor > known.cursor:
            self.shown[task_id] = shown

    async def judge(self, task_ids: Collection[UUID], within_s: float) -> list[str]:
        """Wait until all these tasks are shown as ended; return what is wrong."""

        async def all_ended() -> bool:
            return not self._unended(task_ids)

        try:
            await until(all_ended, within_s)
        except TimeoutError:
            left = self._unended(task_ids)
            self.broken.append(f"a board shows {len(left)} tasks that have not ended, such as {left[0]}")
        return self.broken

    def _unended(self, task_ids: Collection[UUID]) -> list[str]:
        shown = {task_id: self.shown.get(task_id) for task_id in task_ids}
        return [
            f"{task_id} {known.status if known else 'never'}"
            for task_id, known in shown.items()
            if known is None or not known.status.is_terminal
        ]
