"""The read path in memory: a list of 20 items with 6 fields each, by ASGI calls in one process, without a socket.

What is measured is processor time, so that other work on the machine matters less. The contestants take turns.
Run: python -m loadtest.bench.reading [repeats] [requests]
"""

import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from types import SimpleNamespace
from typing import Any, cast

import orjson
import strawberry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from strawberry.asgi import GraphQL
from strawberry.scalars import JSON

from core.clock import utc_now
from core.documents import Item
from core.ids import new_id
from core.settings import Settings
from gateway.app import create_app
from gateway.context import OperationContext, Services
from gateway.identity.principals import LOCAL
from gateway.operations import Operations
from gateway.plans.plan import Pace, Plans
from gateway.replica import Replica
from gateway.schema import build_schema
from gateway.transports.http import GraphQLHTTP
from gateway.transports.limits import EdgeLimits
from gateway.transports.request import GraphQLRequest
from jobs.kinds import load_kinds

QUERY = "{ items(first: 20) { nodes { id name description metadata createdAt updatedAt } } }"
BODY = orjson.dumps({"query": QUERY})
DOCUMENTS: list[dict[str, Any]] = [
    {
        "_id": new_id(),
        "name": f"item {number}",
        "description": "A thing of some use.",
        "metadata": {"colour": "red", "size": number},
        "created_at": utc_now(),
        "updated_at": utc_now(),
    }
    for number in range(20)
]
KINDS = load_kinds()
SCHEMA = build_schema(KINDS)
OURS = "Headway in Starlette"
WARM_UP = 50
"""Requests: plans are made at a pace, and Python specialises what it runs often."""
App = Callable[[Any, Any, Any], Awaitable[None]]


@strawberry.type(name="Item")
class ListedItem:
    """An item as one writes it for Strawberry."""

    id: strawberry.ID
    name: str
    description: str | None
    metadata: JSON
    created_at: datetime
    updated_at: datetime


@strawberry.type
class Connection:
    """A list of items."""

    nodes: list[ListedItem]


@strawberry.type
class Query:
    """The root."""

    @strawberry.field
    async def items(self, first: int) -> Connection:
        nodes = [
            ListedItem(id=strawberry.ID(str(one["_id"])), **{key: one[key] for key in one if key != "_id"})
            for one in DOCUMENTS[:first]
        ]
        return Connection(nodes=nodes)


class Stored:
    """Stands where MongoDB does: the same documents, whatever is asked."""

    def find(self, *_: Any) -> "Stored":
        """Find everything."""
        return self

    sort = limit = find

    async def to_list(self) -> list[dict[str, Any]]:
        """Return copies, as decoding makes new documents each time."""
        return [dict(document) for document in DOCUMENTS]


def gateway() -> App:
    """Return the whole gateway: correlation ids, hosts, media types, identity and price included."""
    app = create_app(Settings(), EdgeLimits(request_log=False), opening=cast(Any, None))
    replica = Replica(cast(Services, SimpleNamespace(kinds=KINDS)), SCHEMA)
    operations = Operations(SCHEMA, EdgeLimits(request_log=False))
    app.state.replica = replica
    app.state.graphql_http = GraphQLHTTP(
        replica, operations, cast(Any, None), app.state.streams, EdgeLimits(request_log=False)
    )
    return app


def headway(*, planned: bool) -> App:
    """Return Headway's guard, price, execution and encoding behind a bare route of Starlette."""
    operations = Operations(SCHEMA, EdgeLimits(request_log=False))
    services = cast(Services, SimpleNamespace(kinds=KINDS))

    async def answer(request: Request) -> Response:
        asked = GraphQLRequest(orjson.loads(await request.body())["query"])
        prepared = operations.prepare(asked)
        if not planned:
            prepared = replace(prepared, plans=Plans(SCHEMA._schema, prepared.document, lambda _: False, Pace()))
        outcome = await operations.run(prepared, None, None, OperationContext(services, LOCAL, "bench"))
        return Response(outcome.encode(), media_type="application/json")

    return Starlette(routes=[Route("/graphql", answer, methods=["POST"])])


def limit() -> App:
    """Return Starlette and orjson with no GraphQL at all."""

    async def answer(request: Request) -> Response:
        orjson.loads(await request.body())
        nodes = [
            {
                "id": str(one["_id"]),
                "name": one["name"],
                "description": one["description"],
                "metadata": one["metadata"],
                "createdAt": one["created_at"],
                "updatedAt": one["updated_at"],
            }
            for one in DOCUMENTS
        ]
        return Response(orjson.dumps({"data": {"items": {"nodes": nodes}}}), media_type="application/json")

    return Starlette(routes=[Route("/graphql", answer, methods=["POST"])])


async def ask(app: App) -> bytes:
    """Return the body of one answer."""
    pieces: list[bytes] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": BODY, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        pieces.append(message.get("body", b""))

    headers = [(b"content-type", b"application/json"), (b"host", b"localhost")]
    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": "/graphql",
        "raw_path": b"/graphql",
        "query_string": b"",
    }
    scope |= {"headers": headers, "http_version": "1.1", "scheme": "http", "root_path": "", "app": app}
    scope |= {"server": ("localhost", 80), "client": ("localhost", 1)}
    await app(scope, receive, send)
    return b"".join(pieces)


async def measure(apps: dict[str, App], repeats: int, requests: int) -> dict[str, list[float]]:
    """Return the microseconds of processor time a request, one figure a repeat."""
    for app in apps.values():
        for _ in range(WARM_UP):
            assert len(orjson.loads(await ask(app))["data"]["items"]["nodes"]) == len(DOCUMENTS)
    taken: dict[str, list[float]] = {name: [] for name in apps}
    for _ in range(repeats):
        for name, app in apps.items():
            started = time.process_time()
            for _ in range(requests):
                await ask(app)
            taken[name].append((time.process_time() - started) / requests * 1e6)
    return taken


def ratio(ones: list[float], others: list[float]) -> float:
    """Return the median of what one takes in units of what the other takes in the same repeat."""
    return statistics.median(one / other for one, other in zip(ones, others, strict=True))


def contestants() -> dict[str, App]:
    """Return who is measured; the items of ours stand where MongoDB is."""
    Item.get_pymongo_collection = cast(Any, Stored)  # type: ignore[method-assign]
    return {
        OURS: headway(planned=True),
        "the whole gateway": gateway(),
        "Headway without plans": headway(planned=False),
        "Strawberry as it comes": GraphQL(strawberry.Schema(Query)),
        "Starlette and orjson, no GraphQL": limit(),
    }


def ask_only(name: str, requests: int) -> None:
    """Ask one contestant so many times."""

    async def ask_all(app: App) -> None:
        for _ in range(requests):
            await ask(app)

    asyncio.run(ask_all(contestants()[name]))


def main() -> None:
    """Write a Markdown table."""
    repeats, requests = (int(given) for given in (sys.argv[1:] if len(sys.argv) > 2 else ("100", "20")))
    taken = asyncio.run(measure(contestants(), repeats, requests))
    lines = ["| contestant | µs of processor time a request: median (least) | its time to ours |", "|---|---|---|"]
    for name, figures in taken.items():
        times = f"{statistics.median(figures):.0f} ({min(figures):.0f})"
        lines.append(f"| {name} | {times} | {ratio(figures, taken[OURS]):.2f} |")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
