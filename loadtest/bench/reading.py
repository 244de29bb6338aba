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
from core.ids import new_id
from gateway.context import OperationContext, Services
from gateway.identity.principals import LOCAL
from gateway.operations import Operations
from gateway.plans.plan import Plans
from gateway.schema import build_schema
from gateway.schema.item_view import ItemView
from gateway.schema.items import ORDERS
from gateway.schema.paging import Page
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
App = Callable[[Any, Any, Any], Awaitable[None]]


@strawberry.type
class Item:
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

    nodes: list[Item]


@strawberry.type
class Query:
    """The root."""

    @strawberry.field
    async def items(self, first: int) -> Connection:
        nodes = [
            Item(id=strawberry.ID(str(one["_id"])), **{key: one[key] for key in one if key != "_id"})
            for one in DOCUMENTS[:first]
        ]
        return Connection(nodes=nodes)


def headway(*, planned: bool) -> App:
    """Return Headway's guard, price, execution and encoding behind a bare route; the items come from memory."""
    kinds = load_kinds()
    schema = build_schema(kinds)

    async def find(_source: Any, _info: Any, **_: Any) -> Page[ItemView]:
        return Page(cast(Any, None), {}, ORDERS["NEWEST_FIRST"], DOCUMENTS, False, False, ItemView)

    cast(Any, schema._schema.query_type).fields["items"].resolve = find
    operations = Operations(schema, EdgeLimits(request_log=False))
    services = cast(Services, SimpleNamespace(kinds=kinds))

    async def answer(request: Request) -> Response:
        asked = GraphQLRequest(orjson.loads(await request.body())["query"])
        prepared = operations.prepare(asked)
        if not planned:
            prepared = replace(prepared, plans=Plans(schema._schema, prepared.document, lambda _: False))
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
        for _ in range(3):
            assert len(orjson.loads(await ask(app))["data"]["items"]["nodes"]) == len(DOCUMENTS)
    taken: dict[str, list[float]] = {name: [] for name in apps}
    for _ in range(repeats):
        for name, app in apps.items():
            started = time.process_time()
            for _ in range(requests):
                await ask(app)
            taken[name].append((time.process_time() - started) / requests * 1e6)
    return taken


def main() -> None:
    """Write a Markdown table."""
    repeats, requests = (int(given) for given in (sys.argv[1:] if len(sys.argv) > 2 else ("7", "300")))
    apps: dict[str, App] = {
        "Headway with plans": headway(planned=True),
        "Headway without plans": headway(planned=False),
        "Strawberry as it comes": GraphQL(strawberry.Schema(Query)),
        "Starlette and orjson, no GraphQL": limit(),
    }
    taken = asyncio.run(measure(apps, repeats, requests))
    ours = statistics.median(taken["Headway with plans"])
    lines = [
        "| contestant | µs of processor time a request: median (least, most) | its time to ours |",
        "|---|---|---|",
    ]
    for name, figures in taken.items():
        median = statistics.median(figures)
        lines.append(f"| {name} | {median:.0f} ({min(figures):.0f}, {max(figures):.0f}) | {median / ours:.2f} |")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
