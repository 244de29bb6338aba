"""Parts of the gateway and of the peers in this process, called without a socket: what they cost by themselves."""

import os
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib import import_module
from types import SimpleNamespace
from typing import Any, cast

import orjson
from bson.codec_options import CodecOptions

from core.documents import Item
from core.settings import Settings
from gateway.app import create_app
from gateway.context import OperationContext, Services
from gateway.identity.principals import LOCAL
from gateway.replica import Replica
from gateway.schema import build_schema
from gateway.transports.limits import EdgeLimits
from jobs.kinds import load_kinds
from loadtest.bench.contestants import PEERS
from loadtest.bench.items import LISTED, QUERY, as_asked, documents

App = Callable[[Any, Any, Any], Awaitable[None]]
DOCUMENTS = documents(LISTED)
DECODED = [
    {**document, **{key: document[key].replace(tzinfo=None) for key in ("created_at", "updated_at")}}
    for document in DOCUMENTS
]
"""As MongoDB's driver hands them to a list."""
BODY = orjson.dumps({"query": QUERY})
KINDS = load_kinds()
SCHEMA = build_schema(KINDS)
LIMITS = EdgeLimits(request_log=False)
CONTEXT = OperationContext(cast(Services, SimpleNamespace(kinds=KINDS)), LOCAL, "bench")
WARM_UP = 50
"""Plans are made at a pace, and Python specialises what it runs often."""
SCOPE: dict[str, Any] = {
    "type": "http",
    "method": "POST",
    "path": "/graphql",
    "raw_path": b"/graphql",
    "query_string": b"",
    "headers": [(b"content-type", b"application/json"), (b"host", b"localhost")],
    "http_version": "1.1",
    "scheme": "http",
    "root_path": "",
    "server": ("localhost", 80),
    "client": ("localhost", 1),
}


class Stored:
    """Stands where MongoDB does: the same documents, whatever is asked."""

    full_name = "bench.items"
    codec_options: CodecOptions[Any] = CodecOptions()

    def find(self, *_: Any, **__: Any) -> "Stored":
        """Find everything."""
        return self

    sort = limit = with_options = find

    async def to_list(self) -> list[dict[str, Any]]:
        """Return copies, as decoding makes new documents each time."""
        return [dict(document) for document in DECODED]


@contextmanager
def items_in_memory() -> Iterator[None]:
    """Have the bench's items stand where MongoDB would be."""
    stored = Stored()
    Item.get_pymongo_collection = cast(Any, lambda: stored)  # type: ignore[method-assign]
    try:
        yield
    finally:
        del Item.get_pymongo_collection  # What it inherits is there again.


@asynccontextmanager
async def replica(_settings: Settings) -> AsyncIterator[Replica]:
    """Open a replica that has no services: items are all that is asked for."""
    yield Replica(cast(Services, SimpleNamespace(kinds=KINDS)), SCHEMA)


@asynccontextmanager
async def gateway() -> AsyncIterator[App]:
    """Run the whole gateway: correlation ids, hosts, media types, identity and price included."""
    app = create_app(Settings(), LIMITS, replica)
    with items_in_memory():
        async with app.router.lifespan_context(app):
            yield app


def peer(module: str) -> App:
    """Return a peer that is written in Python, its items those of this process."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        file.write(orjson.dumps([as_asked(document) for document in DOCUMENTS]))
        file.flush()
        os.environ["BENCH_ITEMS"] = file.name
        sys.path.insert(0, str(PEERS / "python"))
        return cast(App, import_module(module).app)


async def ask(app: App) -> bytes:
    """Return the body of one answer."""
    pieces: list[bytes] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": BODY, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        pieces.append(message.get("body", b""))

    await app(SCOPE | {"app": app}, receive, send)
    return b"".join(pieces)
