"""A gateway on real services that is fuzzed by all tests here, and has to be empty and silent at the end."""

import asyncio
import os
import secrets
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from core.settings import Settings
from tests.attacks.target import Target, running_target

EXAMPLES = int(os.environ.get("HEADWAY_FUZZ_EXAMPLES", "0"))
"""Of each test; 0 is the short form: as many as take some seconds, and always the same ones."""
SETTLED_WITHIN_S = 20.0
TIMES = {"HEADWAY_HEADER_TIMEOUT_S": "0.3", "HEADWAY_BODY_TIMEOUT_S": "0.3", "HEADWAY_INIT_TIMEOUT_S": "0.5"}


def bounded(examples: int) -> settings:
    """Return hypothesis' settings for a test that has so many examples in the short form."""
    return settings(
        max_examples=EXAMPLES or examples,
        derandomize=not EXAMPLES,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


@pytest.fixture(scope="session")
def fuzzed(mongo_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """The gateway, whose waits are short. At the end it holds nothing for anybody and has logged no error."""
    name = f"t{secrets.token_hex(6)}"
    given = Settings(
        mongo_url=mongo_url, redis_url=redis_url, mongo_database=name, namespace=name, broker="direct", log_level="info"
    )
    with running_target(given, tmp_path_factory.mktemp("fuzzed"), **TIMES, HEADWAY_BROKER="direct") as target:
        yield target
        _await_empty(target)
        log = target.log.read_text(errors="replace")
        assert "Traceback" not in log, log[-4_000:]
        assert '"level":"error"' not in log, log[-4_000:]


def _await_empty(target: Target) -> None:
    give_up = time.monotonic() + SETTLED_WITHIN_S
    while held := asyncio.run(target.held()):
        assert time.monotonic() < give_up, f"left: {held}"
        time.sleep(0.1)
