"""`python -m gateway` as its own process: what it says when it can't start, and how it ends."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from core.settings import Settings
from stack.process import free_port
from tests.environments import environment_of


def environment(settings: Settings, **changes: str) -> dict[str, str]:
    """Return what a gateway reads that finds a port of its own, tells of it, and does not wait for services."""
    own = {"HEADWAY_PORT": "0", "HEADWAY_LOG_LEVEL": "info", "HEADWAY_STARTUP_WAIT_S": "1"}
    return environment_of(settings, **own | changes)


def end_of(variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the gateway to its own end."""
    return subprocess.run(
        [sys.executable, "-m", "gateway"], env=variables, capture_output=True, text=True, timeout=60, check=False
    )


@contextmanager
def running(variables: dict[str, str]) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the gateway; yield it and its address once it listens."""
    with subprocess.Popen([sys.executable, "-m", "gateway"], env=variables, stderr=subprocess.PIPE, text=True) as child:
        try:
            assert child.stderr is not None
            said = []
            for line in child.stderr:
                said.append(line)
                if found := re.search(r'"port":(\d+)', line):
                    yield child, f"127.0.0.1:{found[1]}"
                    break
            else:
                pytest.fail("".join(said))
        finally:
            child.kill()


@pytest.mark.parametrize(
    ("variable", "url", "said"),
    [
        ("MONGO_URL", "mongodb://someone:hunter2@127.0.0.1:{port}", "MongoDB at mongodb://127.0.0.1:{port}"),
        ("REDIS_URL", "redis://:hunter2@127.0.0.1:{port}/0", "Redis at redis://127.0.0.1:{port}/0"),
        ("AMQP_URL", "amqp://someone:hunter2@127.0.0.1:{port}/", "RabbitMQ at amqp://127.0.0.1:{port}/"),
    ],
)
def test_start_without_a_service_ends_with_one_line(settings: Settings, variable: str, url: str, said: str) -> None:
    port = free_port()
    ended = end_of(environment(settings, **{variable: url.format(port=port)}))
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert len(ended.stderr.splitlines()) == 1, ended.stderr
    assert ended.stderr.startswith(said.format(port=port))
    assert "hunter2" not in ended.stderr


def test_start_on_a_taken_port_ends_with_one_line(settings: Settings) -> None:
    with running(environment(settings)) as (_, address):
        ended = end_of(environment(settings, HEADWAY_PORT=address.rpartition(":")[2]))
    assert ended.returncode == 1
    assert ended.stderr == f"The gateway can't listen on {address}: Address already in use\n"


def test_setting_that_is_wrong_ends_with_one_line(settings: Settings) -> None:
    ended = end_of(environment(settings, HEADWAY_PORT="99999"))
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1, ended.stderr
    assert "HEADWAY_PORT" in ended.stderr


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_gateway_serves_and_ends_cleanly(settings: Settings, signum: signal.Signals) -> None:
    with running(environment(settings)) as (child, address):
        with httpx.Client(base_url=f"http://{address}", timeout=10) as client:
            assert client.get("/readyz").status_code == 200
            assert client.get("/health").json()["services"] == {"mongodb": "up", "redis": "up", "rabbitmq": "up"}
            answer = client.post("/graphql", json={"query": "{ taskKinds { name } }"})
            assert {"name": "processData"} in answer.json()["data"]["taskKinds"]
            with connect(f"ws://{address}/graphql", subprotocols=[Subprotocol("graphql-transport-ws")]) as socket:
                socket.send('{"type":"connection_init"}')
                assert socket.recv(10) == '{"type":"connection_ack"}'
                child.send_signal(signum)
                with pytest.raises(ConnectionClosed) as closed:
                    socket.recv(10)
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 1001
        assert child.wait(15) == 0
