"""What one subscriber of a board sees, as a client that merges by cursor keeps it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from uuid import UUID

from core.states import TaskStatus
from gateway.relay import Relay, Snapshot
from gateway.relay.board_filter import BoardFilter
from tests.integration.relay.conftest import eventually


def shown(*statuses: TaskStatus) -> BoardFilter:
    """Return the filter of tasks with one of these statuses; none means all."""
    return BoardFilter([{"status": {"$in": sorted(statuses)}}] if statuses else [])


class Board(list[Snapshot]):
    """What came so far, in its order."""

    async def collect(self, relay: Relay, filter_: BoardFilter, max_hz: float, *, whole: bool = False) -> None:
        """Subscribe until cancelled."""
        async with aclosing(relay.boards.follow(filter_, max_hz=max_hz, whole=whole)) as snapshots:
            async for snapshot in snapshots:
                self.append(snapshot)

    def of(self, task_id: UUID) -> list[Snapshot]:
        """Return what came of one task."""
        return [snapshot for snapshot in self if snapshot.task.id == task_id]

    def statuses(self, task_id: UUID) -> list[TaskStatus]:
        """Return the statuses that a task was told with, each once for every time that it changed."""
        told = [snapshot.task.status for snapshot in self.of(task_id)]
        return [status for at, status in enumerate(told) if at == 0 or told[at - 1] is not status]

    def ended(self) -> set[UUID]:
        """Return the tasks whose end has come."""
        return {snapshot.task.id for snapshot in self if snapshot.task.status.is_terminal}

    async def until(self, task_id: UUID, condition: Callable[[Snapshot], bool], within_s: float = 8.0) -> None:
        """Wait until the latest word of a task is such."""
        await eventually(lambda: bool(self.of(task_id)) and condition(self.of(task_id)[-1]), within_s)

    async def until_status(self, task_id: UUID, status: TaskStatus, within_s: float = 8.0) -> None:
        """Wait until the latest word of a task has this status."""
        await self.until(task_id, lambda snapshot: snapshot.task.status is status, within_s)

    def check(self) -> None:
        """Assert what is promised of every task: rising cursors, one end and nothing after it."""
        for task_id in {snapshot.task.id for snapshot in self}:
            told = [snapshot.task for snapshot in self.of(task_id)]
            cursors = [task.cursor for task in told]
            assert cursors == sorted(set(cursors)), f"{task_id}: {cursors}"
            assert not any(task.status.is_terminal for task in told[:-1])


@asynccontextmanager
async def open_board(
    relay: Relay, *statuses: TaskStatus, max_hz: float = 60.0, whole: bool = False
) -> AsyncIterator[Board]:
    """Open a board of tasks with one of these statuses, and check at its closing what came."""
    board, before = Board(), relay.boards.subscribers
    collecting = asyncio.create_task(board.collect(relay, shown(*statuses), max_hz, whole=whole))
    try:
        await eventually(lambda: relay.boards.subscribers == before + 1)
        yield board
        assert not collecting.done(), collecting
    finally:
        collecting.cancel()
        await asyncio.gather(collecting, return_exceptions=True)
    board.check()
