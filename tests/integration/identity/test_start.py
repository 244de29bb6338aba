"""What the gateway's process says at its start about authentication."""

import subprocess
import sys

import pytest

from core.settings import Settings
from tests.integration.gateway_transports.test_process import end_of, environment
from tests.unit.identity.signing import SECRET


def direct(settings: Settings, **changes: str) -> dict[str, str]:
    """Return the environment of a gateway without a broker."""
    return environment(settings, HEADWAY_BROKER="direct", HEADWAY_LOG_LEVEL="info", **changes)


def said_until_it_listens(variables: dict[str, str]) -> str:
    """Start a gateway, end it once it listens, and return what it said."""
    said = ""
    with subprocess.Popen([sys.executable, "-m", "gateway"], env=variables, stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        while "The gateway listens" not in said:
            line = child.stderr.readline()
            assert line, said
            said += line
        child.kill()
    return said


@pytest.mark.parametrize(
    ("host", "auth", "warns"), [("0.0.0.0", "off", True), ("0.0.0.0", "keys", False), ("127.0.0.1", "off", False)]
)
def test_gateway_that_is_open_to_all_says_so(settings: Settings, host: str, auth: str, warns: bool) -> None:
    said = said_until_it_listens(direct(settings, HEADWAY_HOST=host, HEADWAY_AUTH=auth))
    assert ("HEADWAY_AUTH is off" in said) is warns


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"HEADWAY_AUTH": "yes"}, "HEADWAY_AUTH: Value error, expected off, keys, jwt, or keys,jwt"),
        ({"HEADWAY_AUTH": "jwt", "HEADWAY_JWT_SECRET": SECRET}, "HEADWAY_JWT_ISSUER"),
        (
            {
                "HEADWAY_AUTH": "jwt",
                "HEADWAY_JWT_SECRET": SECRET[:20],
                "HEADWAY_JWT_ISSUER": "i",
                "HEADWAY_JWT_AUDIENCE": "a",
            },
            "HEADWAY_JWT_SECRET: expected at least 32 bytes",
        ),
        ({"HEADWAY_COST_PER_MINUTE": "-1"}, "HEADWAY_COST_PER_MINUTE"),
    ],
)
def test_wrong_settings_end_the_start_in_one_line_without_the_secret(
    settings: Settings, variables: dict[str, str], message: str
) -> None:
    ended = end_of(direct(settings, **variables))
    assert ended.returncode == 1
    assert message in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert SECRET[:20] not in ended.stderr
