"""Every event of a task over a real WebSocket: told once, in order, and resumable by its cursor."""

from itertools import pairwise
from typing import Any

import pytest
from gql import GraphQLRequest
from gql.client import AsyncClientSession
from gql.transport.exceptions import TransportQueryError

from core.events import Cursor
from core.ids import new_id
from core.states import TaskStatus
from tests.acceptance.api import PROCESS, http_session, submit, ws_session
from tests.running_stack import RunningStack

EVENTS = """
subscription Events($id: ID!, $after: String) {
  taskEvents(id: $id, after: $after) {
    __typename cursor at attempt delivery
    ... on StateChanged { status by reason error { code message } }
    ... on Progressed { progress { current total percent message } }
    ... on Logged { text }
    ... on Gap { after before why }
  }
}
"""
Told = dict[str, Any]


async def events(session: AsyncClientSession, task_id: str, after: str | None = None, most: int = 10_000) -> list[Told]:
    """Return what `taskEvents` tells after a cursor, at most so many events."""
    told: list[Told] = []
    stream = session.subscribe(GraphQLRequest(EVENTS, variable_values={"id": task_id, "after": after}))
    async for data in stream:
        told.append(data["taskEvents"])
        if len(told) == most:
            break
    await stream.aclose()
    return told


def check_events(told: list[Told]) -> None:
    """Check that a whole story has every event once, in order, and one end."""
    cursors = [Cursor.parse(event["cursor"]) for event in told]
    assert cursors[0] == Cursor(1, 1)
    for earlier, later in pairwise(cursors):
        assert later in (Cursor(earlier.epoch, earlier.n + 1), Cursor(earlier.epoch + 1, 1))
    assert {event["delivery"] for event in told} == {"LIVE"}
    ends = [event["__typename"] == "StateChanged" and TaskStatus(event["status"]).is_terminal for event in told]
    assert ends == [False] * (len(told) - 1) + [True]


async def test_a_story_broken_off_twice_is_whole_and_the_same_for_who_comes_late(stack: RunningStack) -> None:
    told: list[Told] = []
    async with http_session(stack.url) as http:
        task_id = await submit(http, PROCESS, input={"data": "events", "iterations": 1500})
        for most in (3, 3, 10_000):
            async with ws_session(stack.ws_url) as ws:
                told += await events(ws, task_id, told[-1]["cursor"] if told else None, most)
    check_events(told)
    assert [event["status"] for event in told if "status" in event][-2:] == ["RUNNING", "SUCCEEDED"]
    steps = [event["progress"]["current"] for event in told if event["__typename"] == "Progressed"]
    assert len(steps) > 3
    assert steps == sorted(steps)
    assert steps[-1] == 1500
    async with ws_session(stack.ws_url) as ws:
        assert await events(ws, task_id) == told
        assert await events(ws, task_id, told[4]["cursor"]) == told[5:]
        assert await events(ws, task_id, told[-1]["cursor"]) == []


async def test_what_can_not_be_followed_is_refused_with_a_code(stack: RunningStack) -> None:
    async with http_session(stack.url) as http, ws_session(stack.ws_url) as ws:
        task_id = await submit(http, PROCESS, input={"data": "refused", "iterations": 1500})
        for wanted, after, code in (
            (str(new_id()), None, "NOT_FOUND"),
            ("no id", None, "BAD_USER_INPUT"),
            (task_id, "2", "BAD_USER_INPUT"),
            (task_id, "99-1", "BAD_USER_INPUT"),
        ):
            with pytest.raises(TransportQueryError) as refused:
                await events(ws, wanted, after)
            assert refused.value.errors is not None
            assert refused.value.errors[0]["extensions"]["code"] == code
        check_events(await events(ws, task_id))
