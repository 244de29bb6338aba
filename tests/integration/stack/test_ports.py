"""Which ports are given to the programs of a stack."""

import socket

import pytest

from stack import process
from stack.process import free_port


def test_port_is_none_that_an_outgoing_connection_may_be_given() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as outgoing:
        assert free_port() < outgoing.getsockname()[1]


def test_port_that_is_taken_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    taken, free = free_port(), free_port()
    monkeypatch.setattr(process, "PORTS", range(taken, taken + 1))
    monkeypatch.setattr(process, "PORTS_TRIED", 1)
    with socket.create_server(("127.0.0.1", taken)), pytest.raises(OSError, match="expected a free port"):
        free_port()
    monkeypatch.setattr(process, "PORTS", range(free, free + 1))
    assert free_port() == free
