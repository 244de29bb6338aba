"""What a worker's process takes of a task when it claims and ends 50 at once; the database's own time is not in it."""

from collections.abc import Callable

from pytest_benchmark.fixture import BenchmarkFixture

from core.connections import MongoClient
from core.documents import Task, TaskProgress
from core.events import Cursor
from core.ids import new_id
from core.messages import TaskMessage
from core.states import TaskStatus
from core.streams import StreamEvent
from core.transitions import progress_fields, succeeded
from jobs.ledger import Ledger
from tests.benchmarks.conftest import Do

AT_ONCE = 50
ROUNDS = 15
EPOCH = 2
TOLD = progress_fields(TaskProgress(current=10, total=10), None)


async def stored(status: TaskStatus, epoch: int) -> list[TaskMessage]:
    """Store so many tasks; return their tickets."""
    tasks = [
        Task(id=new_id(), kind="processData", status=status, epoch=epoch, input={}, max_attempts=3, timeout_s=60)
        for _ in range(AT_ONCE)
    ]
    await Task.insert_many(tasks)
    return [TaskMessage(task.id, task.epoch) for task in tasks]


def test_claiming_tasks(benchmark: BenchmarkFixture, do: Do, mongo: MongoClient) -> None:
    ledger = Ledger("bench")

    def waiting() -> tuple[tuple[list[TaskMessage]], dict[str, object]]:
        return (do(stored(TaskStatus.QUEUED, EPOCH - 1)),), {}

    def claim(tickets: list[TaskMessage]) -> list[Task]:
        claimed: list[Task] = do(ledger.claim(tickets))
        return claimed

    benchmark.extra_info |= {"part": "ledger: claim a task, 50 at once", "operations": AT_ONCE}
    pedantic: Callable[..., list[Task]] = benchmark.pedantic
    assert len(pedantic(claim, setup=waiting, rounds=ROUNDS, warmup_rounds=2)) == AT_ONCE
    do(ledger.aclose())


def test_ending_tasks(benchmark: BenchmarkFixture, do: Do, mongo: MongoClient) -> None:
    ledger = Ledger("bench")

    def running() -> tuple[tuple[list[TaskMessage]], dict[str, object]]:
        return (do(stored(TaskStatus.RUNNING, EPOCH)),), {}

    def end(tickets: list[TaskMessage]) -> list[StreamEvent | None]:
        ends = [
            succeeded(ticket.task_id, Cursor(EPOCH, 2), by="bench", result={"sum": 1}, told=TOLD) for ticket in tickets
        ]
        events: list[StreamEvent | None] = do(ledger.commit_all(ends, attempt=1))
        return events

    benchmark.extra_info |= {"part": "ledger: end a task, 50 at once", "operations": AT_ONCE}
    pedantic: Callable[..., list[StreamEvent | None]] = benchmark.pedantic
    assert all(pedantic(end, setup=running, rounds=ROUNDS, warmup_rounds=2))
    do(ledger.aclose())
