"""What is set in .env reaches the processes in the containers, and .env.example has all that can be set."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic_settings import BaseSettings

from core.settings import Settings
from gateway.identity.settings import IdentitySettings
from gateway.transports.limits import EdgeLimits

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


def assignments(text: str) -> dict[str, str]:
    """Return the variables of a part of .env.example, as if none were commented out."""
    return dict(re.findall(r"^#?([A-Z]\w+)=(.*)$", text, re.MULTILINE))


def container_environment(service: dict[str, Any], dotenv: dict[str, str]) -> dict[str, str]:
    """Return what compose gives a service's processes: its files, and over them `environment`, filled in from .env."""
    from_files = dotenv if {"path": ".env", "required": False} in service.get("env_file", ()) else {}
    own = {name: filled(str(value), dotenv) for name, value in service["environment"].items()}
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
