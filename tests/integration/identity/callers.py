"""What callers ask for, and what stands stored for them."""

from collections.abc import Mapping
from typing import Any

import httpx

from core.documents import Role, Task
from core.states import TaskStatus
from gateway.identity.keys import new_key
from tests.integration.gateway_transports.edge import Edge

HELLO = {"query": "{ __typename }"}
FOLLOW = "subscription ($id: ID!) { taskProgress(id: $id) { id status } }"
RESPONSE_JSON = "application/graphql-response+json"


async def ask(edge: Edge, headers: dict[str, str] | None = None, accept: str = RESPONSE_JSON) -> httpx.Response:
    """Ask for the root's name by HTTP."""
    async with httpx.AsyncClient(trust_env=False) as http:
        return await http.post(f"{edge.url}/graphql", json=HELLO, headers={"accept": accept, **(headers or {})})


async def stored_key(fields: Mapping[str, Any] | None = None) -> str:
    """Store a key of alice's with these fields and return its text."""
    text, key = new_key("test", "alice", Role.OPERATOR, None)
    await key.model_copy(update=fields).insert()
    return text


async def running_task(owner: str = "alice") -> Task:
    """Store a task that does not end."""
    return await Task(
        kind="processData", owner=owner, status=TaskStatus.QUEUED, input={"data": "x"}, max_attempts=1, timeout_s=60
    ).insert()
