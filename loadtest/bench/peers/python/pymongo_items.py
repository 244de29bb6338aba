"""The limit of reading from MongoDB in Python: Starlette, PyMongo and orjson, with no GraphQL at all."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
from pymongo import AsyncMongoClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

LISTED = 20
NEWEST_FIRST = [("_id", -1)]
FIELDS = ("_id", "name", "description", "metadata", "created_at", "updated_at")


async def answer(request: Request) -> Response:
    """Parse what was asked for, as any API has to, and list the newest items."""
    first = orjson.loads(await request.body()).get("variables", {}).get("first", LISTED)
    found = request.app.state.items.find({}, dict.fromkeys(FIELDS, 1)).sort(NEWEST_FIRST).limit(first)
    nodes = [
        {
            "id": stored["_id"],
            "name": stored["name"],
            "description": stored["description"],
            "metadata": stored["metadata"],
            "createdAt": stored["created_at"],
            "updatedAt": stored["updated_at"],
        }
        for stored in await found.to_list()
    ]
    return Response(orjson.dumps({"data": {"items": {"nodes": nodes}}}), media_type="application/json")


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """Connect while the process runs."""
    client = AsyncMongoClient(os.environ["MONGO_URL"], tz_aware=True, uuidRepresentation="standard")
    async with client:
        app.state.items = client[os.environ["HEADWAY_MONGO_DATABASE"]]["items"]
        yield


app = Starlette(routes=[Route("/graphql", answer, methods=["POST"])], lifespan=lifespan)
