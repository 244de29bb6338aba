"""Whose a reserved event stream is."""

import pytest

from gateway.transports.caps import Caps
from gateway.transports.limits import EdgeLimits
from gateway.transports.refusal import Refusal
from gateway.transports.streams import Streams


async def test_stream_takes_operations_of_its_owner_only() -> None:
    streams = Streams(EdgeLimits(), Caps(EdgeLimits()))
    token = streams.reserve("alice", "owner alice", None)
    assert streams.find(token, "alice").token == token
    with pytest.raises(Refusal) as another:
        streams.find(token, "bob")
    with pytest.raises(Refusal) as unknown:
        streams.find("0" * 32, "bob")
    assert another.value.status == unknown.value.status == 404
    assert str(another.value) == str(unknown.value)
    await streams.leave(0)
    assert len(streams) == 0


async def test_tokens_can_not_be_guessed() -> None:
    streams = Streams(EdgeLimits(), Caps(EdgeLimits()))
    tokens = {streams.reserve("alice", "owner alice", None) for _ in range(100)}
    assert len(tokens) == 100
    assert min(len(token) for token in tokens) >= 32
    await streams.leave(0)
