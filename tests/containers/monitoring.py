"""A stack that a real Prometheus scrapes and judges by the rules of `deploy/`."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import httpx
import yaml

from stack import services
from stack.probes import port_is_open
from stack.process import Guard, Program, free_port
from tests.conftest import running
from tests.running_stack import RunningStack, start_stack

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
WAIT_S = 30.0
T = TypeVar("T")


@dataclass(frozen=True)
class Monitored:
    """What runs."""

    stack: RunningStack
    url: str

    def ask(self, path: str, **params: str) -> Any:
        """Return the data of an answer of Prometheus. Raises AssertionError with what it says of an error."""
        answer = httpx.get(f"{self.url}/api/v1/{path}", params=params, timeout=10).json()
        assert answer["status"] == "success", answer
        return answer["data"]

    def await_value(self, wanted: T, find: Callable[[], T]) -> None:
        """Wait until something has a value. Raises AssertionError with its last one after 30 s."""
        give_up = time.monotonic() + WAIT_S
        while (found := find()) != wanted:
            assert time.monotonic() < give_up, found
            time.sleep(0.2)


@contextmanager
def monitored_stack(folder: Path, guard: Guard) -> Iterator[Monitored]:
    """Run a stack, the RabbitMQ it uses and Prometheus; at the end nothing is left. Raises ServerNotFound."""
    with ExitStack() as cleanup:
        metrics_port = free_port()
        amqp_url = cleanup.enter_context(running(_rabbitmq(folder, metrics_port), folder, guard))
        stack = start_stack(folder / "data", env={"AMQP_URL": amqp_url})
        cleanup.callback(stack.stop)
        url = cleanup.enter_context(running((_prometheus(folder, stack, metrics_port),), folder, guard))
        yield Monitored(stack, url)


def _rabbitmq(folder: Path, metrics_port: int) -> tuple[Program, Program]:
    """Return RabbitMQ with compose's configuration and plugin for Prometheus, but without its management's pages."""
    mapper, server = services.rabbitmq(folder, free_port())
    own = folder / "rabbitmq"
    (own / "enabled_plugins").write_text("[rabbitmq_prometheus].\n", encoding="utf-8")
    with (own / "rabbitmq.conf").open("a", encoding="utf-8") as config:
        lines = (DEPLOY / "rabbitmq/rabbitmq.conf").read_text(encoding="utf-8").splitlines(keepends=True)
        config.writelines(line for line in lines if not line.startswith("management."))
        config.write(f"prometheus.tcp.ip = 127.0.0.1\nprometheus.tcp.port = {metrics_port}\n")
    ready = server.ready
    return mapper, replace(server, ready=lambda: ready() and port_is_open(metrics_port))


def _prometheus(folder: Path, stack: RunningStack, rabbitmq_port: int) -> Program:
    """Return Prometheus with deploy's configuration, but for the names in Docker's DNS and the interval."""
    server = services.found("prometheus")
    if server is None:
        raise services.ServerNotFound("no prometheus here: install the package prometheus")
    ports: dict[str, list[int]] = {"rabbitmq": [rabbitmq_port], "rabbitmq-node": [rabbitmq_port]}
    for role, process in stack.processes().processes.items():
        if process.port is not None:
            ports.setdefault(role.partition("-")[0], []).append(process.port)
    config = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text(encoding="utf-8"))
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(DEPLOY / "prometheus/alerts.yml")]
    for job in config["scrape_configs"]:
        job.pop("dns_sd_configs", None)
        job["static_configs"] = [{"targets": [f"127.0.0.1:{port}" for port in ports[job["job_name"]]]}]
    file = folder / "prometheus.json"
    file.write_text(json.dumps(config), encoding="utf-8")
    port = free_port()
    options = (f"--config.file={file}", f"--storage.tsdb.path={folder / 'tsdb'}")
    return Program(
        "prometheus",
        (str(server), *options, f"--web.listen-address=127.0.0.1:{port}"),
        ready=lambda: port_is_open(port),
        port=port,
        url=f"http://127.0.0.1:{port}",
        cwd=folder,
    )
