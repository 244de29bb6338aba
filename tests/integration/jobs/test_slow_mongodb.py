"""A MongoDB that answers late takes no task from a worker that lives."""

import asyncio
from asyncio import StreamReader, StreamWriter
from urllib.parse import urlsplit

import pytest

from core.states import TaskStatus
from tests.integration.jobs.conftest import Launch, Submit, until, until_true

SLOW_S = 2.6
"""What every request takes: more than beats had, once, before they were given up."""
SLOW_FOR_S = 16.0
"""A lease and more."""


class Delay:
    """Stands before the real MongoDB and hands requests on after `seconds`, unless their client has given up.

    A driver's question whether the server is there is handed on at once: the server is slow, not away.
    """

    def __init__(self, host: str, port: int) -> None:
        self.seconds = 0.0
        self._server = (host, port)

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Connect one client to the server, until either of them ends."""
        answers, requests = await asyncio.open_connection(*self._server)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._hand_on(reader, requests))
            group.create_task(self._answer(answers, writer))

    async def _hand_on(self, client: StreamReader, server: StreamWriter) -> None:
        while data := await client.read(65_536):
            delay_s = 0.0 if b"helloOk" in data or b"hello\0" in data else self.seconds
            asyncio.get_running_loop().call_later(delay_s, self._write, server, data)
        server.close()

    async def _answer(self, server: StreamReader, client: StreamWriter) -> None:
        while data := await server.read(65_536):
            client.write(data)
        client.close()

    @staticmethod
    def _write(server: StreamWriter, data: bytes) -> None:
        if not server.is_closing():
            server.write(data)


@pytest.fixture
def delay(mongo_url: str) -> Delay:
    """What stands between the tasks' processes and MongoDB."""
    address = urlsplit(mongo_url)
    assert address.hostname
    assert address.port
    return Delay(address.hostname, address.port)


async def test_beats_that_mongodb_answers_late_are_no_death(launch: Launch, submit: Submit, delay: Delay) -> None:
    server = await asyncio.start_server(delay.serve, "127.0.0.1", 0)
    slow = {"MONGO_URL": f"mongodb://127.0.0.1:{server.sockets[0].getsockname()[1]}/?directConnection=true"}
    async with server:
        launch("bridge", **slow)
        launch("worker", HEADWAY_KIND_MODULES="tests.faults.kinds", **slow)
        task = await submit("tell", {"steps": 100, "pause_s": 0.25})
        await until_true(task.id, lambda stored: stored.progress.current)
        delay.seconds = SLOW_S
        await asyncio.sleep(SLOW_FOR_S)
        delay.seconds = 0.0
        ended = await until(task.id, TaskStatus.SUCCEEDED, TaskStatus.FAILED, within_s=60)
    assert (ended.status, ended.attempt, ended.crashes) == (TaskStatus.SUCCEEDED, 1, 0)
