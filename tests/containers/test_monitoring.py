"""The dashboard and the alerts in a real Prometheus: what they ask of a stack at work is there, and none cries wolf."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml
from websockets.sync.client import connect

from stack.process import Guard
from stack.services import found
from tests.containers.monitoring import DEPLOY, Monitored, monitored_stack

SUBMIT = 'mutation { processData(input: {data: "a", iterations: 3}) { id } }'
ENDINGS = {"counter": "_total", "histogram": "_bucket"}
"""Of names that are asked for; OpenMetrics tells a metric's type without them."""
RULES = yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text(encoding="utf-8"))["groups"][0]["rules"]
BOARD = json.loads((DEPLOY / "grafana/dashboards/headway.json").read_text(encoding="utf-8"))
QUERIES = [target["expr"] for panel in BOARD["panels"] for target in panel["targets"]]
KEDA = DEPLOY / "kubernetes/components"
BY_TASKS = yaml.safe_load((KEDA / "keda/worker.yaml").read_text(encoding="utf-8"))["spec"]["triggers"]
AGE_PATCH = yaml.safe_load((KEDA / "keda-age/kustomization.yaml").read_text(encoding="utf-8"))["patches"][0]["patch"]
BY_AGE = [change["value"] for change in yaml.safe_load(AGE_PATCH) if change["path"] == "/spec/triggers/-"]
SCALERS = [trigger["metadata"]["query"] for trigger in (*BY_TASKS, *BY_AGE)]


@pytest.fixture(scope="module")
def monitored(tmp_path_factory: pytest.TempPathFactory, process_guard: Guard) -> Iterator[Monitored]:
    """A stack that has run tasks, and refused who asked for another host, under Prometheus' eyes."""
    with monitored_stack(tmp_path_factory.mktemp("monitored"), process_guard) as running:
        assert httpx.get(f"{running.stack.url}/graphql", headers={"Host": "elsewhere.example"}).status_code == 421
        with connect(running.stack.ws_url, subprotocols=["graphql-transport-ws"]) as socket:  # type: ignore[list-item]
            socket.send(json.dumps({"type": "connection_init"}))
            for number in range(5):
                answer = httpx.post(f"{running.stack.url}/graphql", json={"query": SUBMIT}, timeout=30).json()
                query = f'subscription {{ taskProgress(id: "{answer["data"]["processData"]["id"]}") {{ status }} }}'
                socket.send(json.dumps({"type": "subscribe", "id": f"{number}", "payload": {"query": query}}))
                while json.loads(socket.recv(30))["type"] != "complete":
                    pass
        yield running


def test_every_target_is_up(monitored: Monitored) -> None:
    def ups() -> dict[str, str]:
        return {each["metric"]["job"]: each["value"][1] for each in monitored.ask("query", query="up")["result"]}

    monitored.await_value(dict.fromkeys(("gateway", "bridge", "worker", "rabbitmq", "rabbitmq-node"), "1"), ups)


@pytest.mark.parametrize("query", [*QUERIES, *SCALERS])
def test_query_finds_something_of_a_stack_at_work(monitored: Monitored, query: str) -> None:
    monitored.await_value(True, lambda: bool(monitored.ask("query", query=query)["result"]))


def test_every_metric_that_is_asked_for_is_exported(monitored: Monitored) -> None:
    asked = {
        name
        for text in [*QUERIES, *(rule["expr"] for rule in RULES)]
        for name in re.findall(r"(?:headway|rabbitmq)_\w+", text)
    }

    def missing() -> set[str]:
        told = monitored.ask("metadata")
        return asked - {f"{name}{end}" for name, each in told.items() for end in ("", ENDINGS.get(each[0]["type"], ""))}

    monitored.await_value(set[str](), missing)


def test_no_alert_is_raised_where_all_is_well(monitored: Monitored) -> None:
    def judged() -> dict[str, tuple[str, str]]:
        rules = [rule for group in monitored.ask("rules")["groups"] for rule in group["rules"]]
        return {rule["name"]: (rule["health"], rule["state"]) for rule in rules}

    well = dict.fromkeys((rule["alert"] for rule in RULES), ("ok", "inactive"))
    monitored.await_value(well, judged)


CALM = 120
"""Samples, ten seconds apart, before trouble begins; then it lasts for twice as many."""
STORIES = {
    "HeadwayGatewayDown": {
        'up{job="gateway", instance="a"}': ("1", "0"),
        'up{job="gateway", instance="b"}': ("1", "1"),
    },
    "HeadwayNoGateway": {'up{job="gateway"}': ("1", "0")},
    "HeadwayServerErrors": {
        'headway_http_responses_total{status="200"}': ("+90", "+90"),
        'headway_http_responses_total{status="503"}': ("+0", "+1"),
    },
    "HeadwayConnectionsRefused": {'headway_refused_total{cap="connections"}': ("+5", "+20")},
    "HeadwayCredentialsRefused": {"headway_refused_credentials_total": ("+40", "+60")},
    "HeadwayBudgetUnchecked": {"headway_budget_failures_total": ("+0", "+1")},
    "HeadwayBacklogGrows": {'headway_backlog_tasks{priority="LOW"}': ("9000-20", "10000")},
    "HeadwayNoBridge": {'rabbitmq_queue_consumers{queue="headway.tasks.low"}': ("2", "0")},
    "HeadwayBrokerDown": {'up{job="rabbitmq"}': ("1", "0")},
    "HeadwayBrokerBlocksPublishers": {
        "rabbitmq_alarms_memory_used_watermark": ("0", "0"),
        "rabbitmq_alarms_free_disk_space_watermark": ("0", "1"),
    },
    "HeadwayNoLeader": {
        'headway_bridge_leads{instance="a"}': ("1", "0"),
        'headway_bridge_leads{instance="b"}': ("0", "0"),
    },
    "HeadwayDeadLetters": {'headway_dead_letters_total{cause="unreadable"}': ("+0", "+1")},
    "HeadwayWorkersLost": {'headway_losses_total{lost="worker"}': ("+0", "+1")},
    "HeadwayBeatsMissed": {"headway_missed_beats_total": ("+0", "+1")},
    "HeadwayUrgentTasksWait": {'headway_backlog_age_seconds{priority="HIGH"}': ("59", "61")},
}
"""By alert: what each series is, or grows by in ten seconds, while all is well and in trouble."""


def samples(calm: str, trouble: str) -> str:
    """Return a series in promtool's words."""
    parts = [
        f"{value}x{count}" if value[0] != "+" else f"0{value}x{count}"
        for value, count in ((calm, CALM), (trouble, 2 * CALM))
    ]
    if calm[0] == trouble[0] == "+":
        parts[1] = f"{int(calm) * CALM}{trouble}x{2 * CALM}"
    return " ".join(parts)


def test_every_alert_is_raised_by_its_trouble_and_not_before(tmp_path: Path) -> None:
    tests = []
    for alert, series in STORIES.items():
        raised = f'ALERTS{{alertname="{alert}", alertstate="firing"}}'
        asked = [
            {"expr": f"count({raised})", "eval_time": f"{CALM // 6}m", "exp_samples": []},
            {
                "expr": f"count({raised}) > bool 0",
                "eval_time": f"{CALM // 2}m",
                "exp_samples": [{"labels": "{}", "value": 1}],
            },
        ]
        tests.append(
            {
                "name": alert,
                "interval": "10s",
                "input_series": [{"series": name, "values": samples(*values)} for name, values in series.items()],
                "promql_expr_test": asked,
            }
        )
    assert STORIES.keys() == {rule["alert"] for rule in RULES}
    file = tmp_path / "stories.json"
    rules = [str(DEPLOY / "prometheus/alerts.yml")]
    file.write_text(json.dumps({"rule_files": rules, "evaluation_interval": "10s", "tests": tests}), encoding="utf-8")
    promtool("test", "rules", str(file))


def test_prometheus_own_tool_takes_the_configuration_and_the_rules() -> None:
    promtool("check", "config", "--lint=all", "--lint-fatal", str(DEPLOY / "prometheus/prometheus.yml"))


def promtool(*words: str) -> None:
    """Run it; what it says is the failure's message."""
    program = found("promtool")
    assert program is not None, "install the package prometheus"
    done = subprocess.run([str(program), *words], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
