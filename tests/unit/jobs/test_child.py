"""What a plain-function kind says in its child process, and how often that is sent."""

import socket
import time
from typing import cast
from uuid import UUID

import msgspec

from jobs.processes import ChildContext, Said

MOST = 20


class Channel:
    """A socket that keeps what is sent, and when."""

    def __init__(self) -> None:
        self.said: list[Said] = []
        self.times: list[float] = []

    def send(self, datagram: bytes) -> None:
        """Keep it."""
        self.said.append(msgspec.msgpack.decode(datagram, type=Said))
        self.times.append(time.monotonic())


def test_child_sends_what_it_said_last_and_no_more_than_its_pace_allows() -> None:
    channel = Channel()
    context = ChildContext(cast(socket.socket, channel), UUID(int=1), epoch=2, attempt=1, state=None)
    ends_at, said = time.monotonic() + 1.3, 0
    while time.monotonic() < ends_at:
        said += 1
        context.progress(said, None, None)
        time.sleep(0.0005)
    context.close()
    counts = [progress.current for progress in channel.said]
    assert counts == sorted(set(counts))
    assert counts[-1] == said
    assert len(counts) > 2
    before_last = channel.times[:-1]
    assert all(last - first > 1.0 for first, last in zip(before_last, before_last[MOST:], strict=False))


def test_what_is_said_during_the_last_send_is_sent_too() -> None:
    class Late(Channel):
        def send(self, datagram: bytes) -> None:
            super().send(datagram)
            if len(self.said) == 1:
                context.progress(2, None, None)
                context._ended.set()

    channel = Late()
    context = ChildContext(cast(socket.socket, channel), UUID(int=1), epoch=2, attempt=1, state=None)
    context.progress(1, None, None)
    context.close()
    assert [progress.current for progress in channel.said] == [1, 2]
