"""The limit of the read path in Python: Starlette and orjson, with no GraphQL at all."""

import orjson
from items import ITEMS
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


async def answer(request: Request) -> Response:
    """Parse what was asked for, as any API has to, and list items."""
    orjson.loads(await request.body())
    nodes = [
        {
            "id": stored["id"],
            "name": stored["name"],
            "description": stored["description"],
            "metadata": stored["metadata"],
            "createdAt": stored["created_at"],
            "updatedAt": stored["updated_at"],
        }
        for stored in ITEMS
    ]
    return Response(orjson.dumps({"data": {"items": {"nodes": nodes}}}), media_type="application/json")


app = Starlette(routes=[Route("/graphql", answer, methods=["POST"])])
