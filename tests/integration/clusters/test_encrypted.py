"""Servers that speak TLS themselves, with a CA of their own: a whole stack on them, and certificates of clients."""

import json
import secrets
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from cli.clusters import redis_findings
from cli.findings import Level
from core.connections import open_amqp, open_mongo, open_redis
from core.errors import StartupError
from core.settings import Settings
from stack.process import Guard
from tests.integration.clusters.encrypted import Encrypted, encrypted_servers
from tests.running_stack import RunningStack, start_stack

Open = Callable[[Settings], Awaitable[AbstractAsyncContextManager[Any]]]
SUBMIT = 'mutation { processData(input: {data: "a", iterations: 3}) { id } }'
FOLLOW = "subscription ($id: ID!) { taskProgress(id: $id) { status delivery } }"


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory, process_guard: Guard) -> Iterator[Encrypted]:
    """The servers."""
    with encrypted_servers(tmp_path_factory.mktemp("encrypted"), process_guard) as running:
        yield running


@pytest.fixture
def encrypted_stack(encrypted: Encrypted, tmp_path: Path) -> Iterator[RunningStack]:
    """A whole stack on them."""
    environment = {
        "MONGO_URL": encrypted.mongo_url_with_papers,
        "REDIS_URL": encrypted.sentinel_url,
        "AMQP_URL": encrypted.amqp_url_with_papers,
        "HEADWAY_TLS_CA_FILE": encrypted.papers.ca,
        "HEADWAY_MONGO_DATABASE": f"t{secrets.token_hex(6)}",
    }
    stack = start_stack(tmp_path / "data", env=environment)
    yield stack
    assert stack.stop() == 0, stack.said()


def run_task(stack: RunningStack) -> dict[str, str]:
    """Submit a task, follow it to its end and return what was told last."""
    answer = httpx.post(f"{stack.url}/graphql", json={"query": SUBMIT}, timeout=30).json()
    payload = {"query": FOLLOW, "variables": {"id": answer["data"]["processData"]["id"]}}
    told: dict[str, str] = {}
    with connect(stack.ws_url, subprotocols=["graphql-transport-ws"]) as socket:  # type: ignore[list-item]
        socket.send(json.dumps({"type": "connection_init"}))
        socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": payload}))
        while (frame := json.loads(socket.recv(30)))["type"] != "complete":
            if frame["type"] == "next":
                told = frame["payload"]["data"]["taskProgress"]
    return told


def test_tasks_are_followed_live_where_every_connection_is_encrypted(encrypted_stack: RunningStack) -> None:
    ends = [run_task(encrypted_stack) for _ in range(3)]
    assert {end["status"] for end in ends} == {"SUCCEEDED"}
    assert ends[-1]["delivery"] == "LIVE"  # A relay that has just begun may have told of the first one from MongoDB.
    health = httpx.get(f"{encrypted_stack.url}/health", timeout=10).json()
    assert health["services"] == {"mongodb": "up", "redis": "up", "rabbitmq": "up"}


@pytest.mark.parametrize(
    ("variable", "without", "with_papers", "open_service"),
    [
        ("mongo_url", "mongo_url", "mongo_url_with_papers", open_mongo),
        ("redis_url", "strict_redis_url", "redis_url_with_papers", open_redis),
        ("amqp_url", "amqp_url", "amqp_url_with_papers", open_amqp),
    ],
)
async def test_certificate_of_the_client_is_the_driver_s_to_show(
    encrypted: Encrypted, variable: str, without: str, with_papers: str, open_service: Open
) -> None:
    async def opens(url: str, ca: str) -> bool:
        settings = {variable: url, "tls_ca_file": ca, "startup_wait_s": 0.0, "mongo_pool_min": 0}
        try:
            async with await open_service(Settings().model_copy(update=settings)):
                return True
        except StartupError:
            return False

    papers = encrypted.papers
    assert await opens(getattr(encrypted, with_papers), papers.ca)
    assert not await opens(getattr(encrypted, without), papers.ca)
    assert not await opens(getattr(encrypted, with_papers), "")


async def test_sentinel_and_master_are_asked_by_tls_alone(encrypted: Encrypted) -> None:
    settings = Settings(redis_url=encrypted.sentinel_url, tls_ca_file=encrypted.papers.ca, startup_wait_s=5)
    async with await open_redis(settings) as client:
        found = [finding async for finding in redis_findings(client)]
    assert (found[0].level, found[0].said) == (Level.OK, "1 of 1 answer")
    for url in (encrypted.sentinel_url.replace("rediss", "redis"), encrypted.sentinel_url):
        with pytest.raises(StartupError):
            await open_redis(Settings(redis_url=url, startup_wait_s=0))
