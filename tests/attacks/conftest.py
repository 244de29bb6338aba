"""One gateway for all attacks: it has to survive each of them for the next."""

import resource
import secrets
from collections.abc import Iterator

import pytest

from core.settings import Settings
from tests.attacks.target import FULL, Target, running_target


@pytest.fixture(scope="session", autouse=True)
def open_files() -> None:
    """Let this process open as many connections as an attack needs."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@pytest.fixture(scope="session")
def target(
    mongo_url: str,
    redis_url: str,
    amqp_url: str,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[Target]:
    """The gateway under attack, on real services. In the full form, says at the end what was measured."""
    name = f"t{secrets.token_hex(6)}"
    settings = Settings(
        mongo_url=mongo_url, redis_url=redis_url, amqp_url=amqp_url, mongo_database=name, namespace=name
    )
    changes = {"HEADWAY_CONNECTIONS_PER_ADDRESS": "20000", "HEADWAY_CONNECTIONS": "15000"}
    with running_target(settings, tmp_path_factory.mktemp("target"), **changes) as target:
        memory = target.memory
        yield target
        if FULL and target.gaps:
            line = (
                f"{len(target.gaps)} attacks: longest gap {max(target.gaps):.2f} s, greatest growth after one"
                f" {max(target.growths) / 1024**2:.0f} MB, memory {memory / 1024**2:.0f} MB before the first and"
                f" {target.memory / 1024**2:.0f} MB after the last"
            )
            request.config.pluginmanager.getplugin("terminalreporter").write_line(f"\n{line}")
