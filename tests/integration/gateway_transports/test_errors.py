"""Each public error reaches a client in the same words over every transport, and what is not public over none."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

import httpx
import pytest

from tests.integration.gateway_transports.edge import Edge
from tests.integration.gateway_transports.standin import PUBLIC_ERRORS

Frames = list[dict[str, Any]]
Follow = Callable[[Edge, str], Coroutine[Any, Any, Frames]]
SECRET = "a secret of the house"


async def over_websocket(edge: Edge, query: str) -> Frames:
    """Return the responses of an operation; an `error` message is one that holds only its errors."""
    async with edge.session() as client, asyncio.timeout(10):
        await client.subscribe("1", query)
        told: Frames = []
        while (frame := await client.read())["type"] != "complete":
            told.append(frame["payload"] if frame["type"] == "next" else {"errors": frame["payload"]})
            if frame["type"] == "error":
                break
        return told


async def over_events(edge: Edge, query: str) -> Frames:
    """Return the responses of an operation by a distinct event stream."""
    async with httpx.AsyncClient() as client:
        answer = await client.post(
            f"{edge.url}/graphql", json={"query": query}, headers={"accept": "text/event-stream"}
        )
    return [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]


async def over_http(edge: Edge, query: str) -> Frames:
    """Return the response of a query."""
    async with httpx.AsyncClient() as client:
        return [(await client.post(f"{edge.url}/graphql", json={"query": query})).json()]


def only_error(frames: Frames) -> dict[str, Any]:
    """Return the one error of the last response."""
    [error] = frames[-1]["errors"]
    assert isinstance(error, dict)
    return error


@pytest.mark.parametrize("code", PUBLIC_ERRORS)
async def test_public_error_is_told_alike_over_every_transport(edge: Edge, code: str) -> None:
    public = PUBLIC_ERRORS[code]
    for follow in (over_http, over_websocket, over_events):
        error = only_error(await follow(edge, f'{{ refusedWith(code: "{code}") }}'))
        correlation_id = error["extensions"].pop("correlationId")
        assert correlation_id
        assert (error["message"], error["extensions"]) == (str(public), dict(public.extensions))
        assert error["path"] == ["refusedWith"]


@pytest.mark.parametrize("code", PUBLIC_ERRORS)
@pytest.mark.parametrize("follow", [over_websocket, over_events])
async def test_public_error_ends_a_stream_that_had_begun(edge: Edge, follow: Follow, code: str) -> None:
    frames = await follow(edge, f'subscription {{ failingWith(code: "{code}") }}')
    assert frames[0] == {"data": {"failingWith": 0}}
    assert "data" not in frames[-1]
    assert only_error(frames)["message"] == str(PUBLIC_ERRORS[code])
    assert only_error(frames)["extensions"]["code"] == code


@pytest.mark.parametrize("follow", [over_http, over_websocket, over_events])
async def test_other_error_of_a_resolver_is_masked(edge: Edge, follow: Follow) -> None:
    frames = await follow(edge, "{ broken }")
    error = only_error(frames)
    assert (error["message"], error["extensions"]["code"]) == ("Internal error", "INTERNAL")
    assert error["extensions"]["correlationId"]
    assert SECRET not in json.dumps(frames)


@pytest.mark.parametrize("follow", [over_websocket, over_events])
async def test_other_error_of_a_source_is_masked_and_ends_the_stream(edge: Edge, follow: Follow) -> None:
    frames = await follow(edge, "subscription { failing(masked: true) }")
    assert frames[0] == {"data": {"failing": 0}}
    assert (only_error(frames)["message"], only_error(frames)["extensions"]["code"]) == ("Internal error", "INTERNAL")
    assert SECRET not in json.dumps(frames)


@pytest.mark.parametrize("follow", [over_websocket, over_events])
async def test_other_error_of_an_event_is_masked_and_the_stream_goes_on(edge: Edge, follow: Follow) -> None:
    frames = await follow(edge, "subscription { fragile { number broken } }")
    assert [frame["data"]["fragile"] for frame in frames] == [{"number": n, "broken": None} for n in range(2)]
    for frame in frames:
        assert only_error([frame])["extensions"]["code"] == "INTERNAL"
    assert SECRET not in json.dumps(frames)
