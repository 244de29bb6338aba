"""How the acceptance tests speak to a running stack: the Python `gql` client, and bare HTTP where bytes matter."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import httpx
from gql import Client, GraphQLRequest
from gql.client import AsyncClientSession
from gql.transport.httpx import HTTPXAsyncTransport
from gql.transport.websockets import WebsocketsTransport

from core.events import Cursor
from core.states import TaskStatus

TIMEOUT_S = 60.0
FOLLOW = """
subscription Follow($id: ID!) {
  taskProgress(id: $id) {
    __typename id kind status cursor attempt delivery
    progress { current total percent }
    error { code message }
    ... on ProcessDataTask { result { totalProcessed rounds processedItems { index digest } } }
    ... on ImportItemsTask { result { inserted updated rejectedTotal rejected { line reason } } }
  }
}
"""
PROCESS = """
mutation Process($input: ProcessDataInput!, $options: TaskOptions) {
  processData(input: $input, options: $options) { id status cursor }
}
"""
IMPORT = """
mutation Import($input: ImportItemsInput!, $options: TaskOptions) {
  importItems(input: $input, options: $options) { id status cursor }
}
"""
Task = dict[str, Any]


@asynccontextmanager
async def http_session(url: str) -> AsyncIterator[AsyncClientSession]:
    """A gql session over HTTP."""
    client = Client(transport=HTTPXAsyncTransport(f"{url}/graphql", timeout=TIMEOUT_S), execute_timeout=TIMEOUT_S)
    async with client as session:
        yield session


@asynccontextmanager
async def ws_session(ws_url: str) -> AsyncIterator[AsyncClientSession]:
    """A gql session over graphql-transport-ws."""
    async with Client(transport=WebsocketsTransport(ws_url), execute_timeout=TIMEOUT_S) as session:
        yield session


async def execute(session: AsyncClientSession, query: str, **variables: Any) -> dict[str, Any]:
    """Return the data. Raises gql.transport.exceptions.TransportQueryError if there are errors."""
    data: dict[str, Any] = await session.execute(GraphQLRequest(query, variable_values=variables))
    return data


async def submit(session: AsyncClientSession, mutation: str, **variables: Any) -> str:
    """Return the id of the task that the mutation made."""
    [task] = (await execute(session, mutation, **variables)).values()
    return str(task["id"])


async def follow(session: AsyncClientSession, task_id: str) -> list[Task]:
    """Return everything `taskProgress` tells of a task until the server completes the subscription."""
    request = GraphQLRequest(FOLLOW, variable_values={"id": task_id})
    return [data["taskProgress"] async for data in session.subscribe(request)]


async def run_to_end(http: AsyncClientSession, ws: AsyncClientSession, mutation: str, **variables: Any) -> Task:
    """Submit, follow, and return the task as its last event tells it; it must have succeeded."""
    told = await follow(ws, await submit(http, mutation, **variables))
    check_story(told)
    assert told[-1]["status"] == "SUCCEEDED", told[-1]["error"]
    return told[-1]


def check_story(told: list[Task]) -> None:
    """Assert what every subscriber is promised: rising cursors, no step back, one end and nothing after it."""
    assert told, "nothing was told, not even the snapshot"
    cursors = [Cursor.parse(task["cursor"]) for task in told]
    assert all(earlier < later for earlier, later in pairwise(cursors)), cursors
    steps = [(task["attempt"], task["progress"]["current"]) for task in told]
    assert steps == sorted(steps)
    assert [TaskStatus(task["status"]).is_terminal for task in told] == [False] * (len(told) - 1) + [True]


async def post(url: str, query: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the GraphQL response to a POST as it came, whatever the client library would make of it."""
    async with httpx.AsyncClient(timeout=TIMEOUT_S) as client:
        answer = await client.post(f"{url}/graphql", json={"query": query, "variables": variables})
    assert answer.status_code < 500, answer.text
    response: dict[str, Any] = answer.json()
    return response
