"""What is set in .env or the shell reaches the processes in the containers; .env.example has all that can be set."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic_settings import BaseSettings

from core.settings import Settings
from gateway.identity.settings import IdentitySettings
from gateway.transports.limits import EdgeLimits
from jobs.kinds import MAX_TIMEOUT_S

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
FOR_PROCESSES, FOR_COMPOSE = (
    (ROOT / ".env.example").read_text(encoding="utf-8").split("# --- Only for docker-compose.yml")
)
READ_BY: dict[str, tuple[type[BaseSettings], ...]] = {
    "gateway": (Settings, EdgeLimits, IdentitySettings),
    "bridge": (Settings,),
    "worker": (Settings,),
}
FIXED = {
    "MONGO_URL": "",
    "REDIS_URL": "",
    "AMQP_URL": "",
    "HEADWAY_HOST": "0.0.0.0",
    "HEADWAY_PORT": "8000",
    "HEADWAY_UI_DIST": "/app/ui/dist",
    "HEADWAY_ALIVE_FILE": "/tmp/headway-alive",
    "HEADWAY_METRICS_PORT": "8001",
    "HEADWAY_TOKEN": "",
}
"""What is the container's own: its addresses, ports and paths, and no client's token."""
OF_ALL = {
    *("HEADWAY_LOG_LEVEL", "HEADWAY_TRACES", "OTEL_EXPORTER_OTLP_ENDPOINT"),
    *("HEADWAY_MONGO_POOL_MIN", "HEADWAY_MONGO_POOL_MAX"),
}
FROM_SHELL = {
    "gateway": {
        *("HEADWAY_AUTH", "HEADWAY_ALLOWED_HOSTS", "HEADWAY_INTROSPECTION", "HEADWAY_MAX_COST"),
        *(f"HEADWAY_{name.upper()}" for name in IdentitySettings.model_fields if name.startswith("jwt_")),
        *OF_ALL,
    },
    "bridge": {"HEADWAY_BRIDGE_WINDOW", *OF_ALL},
    "worker": {"HEADWAY_WORKER_SLOTS", "HEADWAY_WORKER_PROCESSES", "HEADWAY_DRAIN_S", *OF_ALL},
}
"""What a variable of the shell, or of a file that `docker compose --env-file` names, changes too."""


def assignments(text: str) -> dict[str, str]:
    """Return the variables of a part of .env.example, as if none were commented out."""
    return dict(re.findall(r"^#?([A-Z]\w+)=(.*)$", text, re.MULTILINE))


def container_environment(
    service: dict[str, Any], dotenv: dict[str, str], shell: dict[str, str] | None = None
) -> dict[str, str]:
    """Return what compose gives a service's processes: its files, and over them `environment`.

    That is filled in from .env and, before it, from the shell.
    """
    from_files = dotenv if {"path": ".env", "required": False} in service.get("env_file", ()) else {}
    own = {name: filled(str(value), dotenv | (shell or {})) for name, value in service["environment"].items()}
    return from_files | own


def filled(text: str, values: dict[str, str]) -> str:
    """Replace `${NAME:-default}`, whose default stands where the value is empty too."""
    return re.sub(r"\$\{(\w+):-([^}]*)\}", lambda match: values.get(match[1]) or match[2], text)


def variables(settings: type[BaseSettings]) -> set[str]:
    """Return the variables that settings are read from."""
    fields = settings.model_fields.items()
    return {str(field.validation_alias or f"HEADWAY_{name.upper()}") for name, field in fields}


@pytest.mark.parametrize("role", READ_BY)
def test_every_setting_reaches_the_processes_that_read_it(role: str) -> None:
    changed = dict.fromkeys(assignments(FOR_PROCESSES), "changed")
    found = container_environment(COMPOSE["services"][role], changed)
    own = {"HEADWAY_TRUSTED_PROXIES": "172.30.250.0/24"} if role == "gateway" else {"HEADWAY_JWT_SECRET": ""}
    fixed = FIXED | own
    assert {name: value for name, value in found.items() if name in changed} == changed | fixed


@pytest.mark.parametrize("role", READ_BY)
@pytest.mark.parametrize("dotenv", [{}, dict.fromkeys(assignments(FOR_PROCESSES), "of the file")])
def test_shell_goes_before_the_file(role: str, dotenv: dict[str, str]) -> None:
    shell = dict.fromkeys(FROM_SHELL[role], "of the shell")
    found = container_environment(COMPOSE["services"][role], dotenv, shell)
    assert {name for name, value in found.items() if value == "of the shell"} == FROM_SHELL[role]


def test_variables_before_a_command_of_the_pages_reach_compose() -> None:
    pages = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "README.md", *ROOT.glob("docs/*.md")))
    given = re.findall(r"^((?:\w+=\S+ )+)docker compose", pages, re.MULTILINE)
    names = {name for line in given for name in re.findall(r"(\w+)=", line)}
    interpolated = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text(encoding="utf-8")))
    assert names
    assert names <= interpolated


def test_defaults_of_settings_in_compose_are_those_of_the_example() -> None:
    example = assignments(FOR_PROCESSES)
    for role, names in FROM_SHELL.items():
        found = container_environment(COMPOSE["services"][role], {})
        for name in names - {"OTEL_EXPORTER_OTLP_ENDPOINT"}:
            assert (name, found[name]) == (name, example[name])


@pytest.mark.parametrize("role", READ_BY)
def test_settings_are_taken_as_they_stand_in_the_example(
    role: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("mongo_url", "redis_url", "amqp_url"):
        (tmp_path / name).write_text(f"{name} of a file\n", encoding="utf-8")
    dotenv = assignments(FOR_PROCESSES + FOR_COMPOSE) | {"HEADWAY_MONGO_POOL_MAX": "77"}
    for name, value in container_environment(COMPOSE["services"][role], dotenv).items():
        monkeypatch.setenv(name, value.replace("/run/secrets", str(tmp_path)))
    read = [settings() for settings in READ_BY[role]]
    assert isinstance(read[0], Settings)
    assert (read[0].mongo_url, read[0].mongo_pool_max, read[0].metrics_port) == ("mongo_url of a file", 77, 8001)


def test_example_has_every_setting_with_its_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    example = assignments(FOR_PROCESSES)
    known = set[str]().union(*map(variables, READ_BY["gateway"]))
    assert known == example.keys() - {"HEADWAY_TOKEN", "OTEL_EXPORTER_OTLP_ENDPOINT"}
    (tmp_path / "ui/dist").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    for name in known:
        monkeypatch.delenv(name, raising=False)
    plain = [settings() for settings in READ_BY["gateway"]]
    for name, value in example.items():
        monkeypatch.setenv(name, value)
    assert [settings() for settings in READ_BY["gateway"]] == plain


def test_compose_s_own_variables_say_what_stands_in_it() -> None:
    text = "".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "docker-compose.yml", *ROOT.glob("deploy/*.yml"))
    )
    defaults = dict(re.findall(r"(?<!\$)\$\{(\w+):-([^}]*)\}", text))
    assert assignments(FOR_COMPOSE).items() <= defaults.items()


def test_rabbitmq_lets_a_bridge_hold_a_message_while_the_longest_tasks_run() -> None:
    text = (ROOT / "deploy/rabbitmq/rabbitmq.conf").read_text(encoding="utf-8")
    (timeout_ms,) = re.findall(r"^consumer_timeout = (\d+)$", text, re.MULTILINE)
    assert int(timeout_ms) > 2 * MAX_TIMEOUT_S * 1000
