"""One gateway for all attacks: it has to survive each of them for the next."""

import resource
import secrets
from collections.abc import Iterator

import pytest

from core.settings import Settings
from tests.attacks.target import Target, running_target


@pytest.fixture(scope="session", autouse=True)
def open_files() -> None:
    """Let this process open as many connections as an attack needs."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@pytest.fixture(scope="session")
def target(mongo_url: str, redis_url: str, amqp_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """The gateway under attack, on real services."""
    name = f"t{secrets.token_hex(6)}"
    settings = Settings(
        mongo_url=mongo_url, redis_url=redis_url, amqp_url=amqp_url, mongo_database=name, namespace=name
    )
    changes = {"HEADWAY_CONNECTIONS_PER_ADDRESS": "20000", "HEADWAY_CONNECTIONS": "15000"}
    with running_target(settings, tmp_path_factory.mktemp("target"), **changes) as target:
        yield target
