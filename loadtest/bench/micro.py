"""The parts that requests and events are made of, each by itself, in microseconds of processor time.

Run: python -m loadtest.bench.micro [repeats]. What needs a server (the ledger, the bridge) is measured with the tasks.
"""

import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from itertools import count
from types import SimpleNamespace
from typing import Any, cast

from graphql import parse, specified_rules, validate

from core.clock import utc_now
from core.documents import Item, Task
from core.events import Cursor, Progressed, decode_notice, encode_event, encode_notice
from core.ids import new_id
from core.states import TaskStatus
from gateway.context import OperationContext, Services
from gateway.identity.principals import LOCAL
from gateway.operations import Operations
from gateway.plans.plan import Pace, Plans
from gateway.relay.fold import fold
from gateway.relay.watch import Watch
from gateway.schema.task_view import TaskView
from gateway.transports.limits import EdgeLimits
from gateway.transports.request import GraphQLRequest
from loadtest.bench.reading import KINDS, QUERY, SCHEMA, Stored

Part = Callable[[], Awaitable[object] | object]
EVENTS = 'subscription { taskProgress(id: "x") { id cursor status progress { current total percent } } }'
CONTEXT = OperationContext(cast(Services, SimpleNamespace(kinds=KINDS)), LOCAL, "bench")
AT_ONCE = 10
"""Calls, between two looks at the clock."""


def guarding() -> Iterator[tuple[str, Part]]:
    """Yield the parts of the guard."""
    operations, schema, numbers = Operations(SCHEMA, EdgeLimits()), SCHEMA._schema, count()

    def read_new() -> object:
        return operations.prepare(GraphQLRequest(f"{QUERY} # {next(numbers)}"))

    def read_as_graphql_core() -> object:
        return validate(schema, parse(f"{QUERY} # {next(numbers)}"), specified_rules)

    prepared = operations.prepare(GraphQLRequest(QUERY))
    yield "graphql-core: parse and validate a document", read_as_graphql_core
    yield "guard: parse, measure, validate and price it", read_new
    yield "guard: find it again", lambda: operations.prepare(GraphQLRequest(QUERY))
    yield "guard: what it costs", lambda: operations.cost(prepared, None)


def planning() -> Iterator[tuple[str, Part]]:
    """Yield the parts of plans: for a list of 20 items, and for an event of a task."""
    Item.get_pymongo_collection = cast(Any, Stored)  # type: ignore[method-assign]
    operations = Operations(SCHEMA, EdgeLimits(request_log=False))
    listed = operations.prepare(GraphQLRequest(QUERY))
    followed = operations.prepare(GraphQLRequest(EVENTS))

    def make() -> object:
        plans = Plans(SCHEMA._schema, listed.document, lambda _: True, Pace(rest=0))
        values = operations._begin(listed, None, None, CONTEXT).variable_values
        return [plans.find(listed.operation, values) for _ in range(2)]

    async def run() -> object:
        return await operations.run(listed, None, None, CONTEXT)

    async def answer() -> object:
        return (await operations.run(listed, None, None, CONTEXT)).encode()

    yield "plan: make one for 20 items", make
    yield "plan: run it", run
    yield "plan: run it and encode the answer", answer
    for _ in range(2):
        executor = operations._begin(followed, None, None, CONTEXT).executor()
    event = TaskView(task())
    assert executor.render_event(event) is not None
    yield "plan: render an event", lambda: executor.render_event(event)


def relaying() -> Iterator[tuple[str, Part]]:
    """Yield the parts of the relay."""
    progressed, numbers = Progressed(utc_now(), 1, 5, 10), count(2)
    notice = encode_notice(Cursor(1, 2), encode_event(progressed))
    followed = task()
    watch = Watch(followed.id, "channel")
    watch.take(followed)
    yield "relay: decode an event", lambda: decode_notice(notice)
    yield "relay: move a task on by an event", lambda: fold(followed, Cursor(1, 2), progressed)
    yield "relay: hear an event of a watched task", lambda: watch.hear(Cursor(1, next(numbers)), progressed)


def task() -> Task:
    """Return a task at work."""
    made: Task = Task.model_construct(
        id=new_id(), kind="processData", status=TaskStatus.RUNNING, input={}, max_attempts=3, timeout_s=60.0
    )
    return made


async def measure(part: Part, repeats: int) -> list[float]:
    """Return the microseconds of processor time a call, one figure a repeat."""
    figures = []
    for _ in range(repeats):
        began = time.process_time()
        for _ in range(AT_ONCE):
            found = part()
            if isinstance(found, Awaitable):
                await found
        figures.append((time.process_time() - began) / AT_ONCE * 1e6)
    return figures


async def main() -> None:
    """Write a Markdown table."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    sys.stdout.write("| part | µs of processor time: median (least) |\n|---|---|\n")
    for parts in (guarding(), planning(), relaying()):
        for name, part in parts:
            figures = await measure(part, repeats)
            sys.stdout.write(f"| {name} | {statistics.median(figures):.1f} ({min(figures):.1f}) |\n")


if __name__ == "__main__":
    asyncio.run(main())
