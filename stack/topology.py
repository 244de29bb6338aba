"""What a stack consists of: which services are ours to start, and the processes of Headway that stand on them."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.addresses import public_address
from core.settings import Broker, Settings
from stack import services
from stack.probes import http_ok
from stack.process import Program, free_port
from stack.services import PROJECT

WORKER_DRAIN_S = 2.0
"""How long a worker may finish its tasks when the whole stack stops; what is left is handed back and found again."""
BrokerChoice = Literal["auto", "rabbitmq", "direct"]


@dataclass(frozen=True)
class StackOptions:
    """What was asked for. `port` is for clients; `nginx` None means: when there are several gateways.

    Each module in the folder `kinds`, where there is one, is a kind's; `reload` has its changes take effect at once.
    """

    data: Path
    host: str = "127.0.0.1"
    port: int = 8000
    gateways: int = 1
    workers: int = 1
    bridges: int = 1
    broker: BrokerChoice = "auto"
    nginx: bool | None = None
    kinds: Path | None = None
    reload: bool = False

    @property
    def with_nginx(self) -> bool:
        """Whether nginx stands before the gateways."""
        return self.gateways > 1 if self.nginx is None else self.nginx

    @property
    def url(self) -> str:
        """The address for clients on this machine."""
        return f"http://{'127.0.0.1' if self.host in ('0.0.0.0', '::') else self.host}:{self.port}"


@dataclass(frozen=True)
class Foundation:
    """The services of a stack.

    `chains` are the programs that we start, each chain's one after the other. `addresses` may be shown; `environment`
    is what every process is told beside our own environment.
    """

    chains: tuple[tuple[Program, ...], ...]
    addresses: Mapping[str, str]
    environment: Mapping[str, str]
    broker: Broker

    @property
    def ours(self) -> set[str]:
        """The names of the services that we start."""
        return {chain[-1].role for chain in self.chains}

    @property
    def given(self) -> set[str]:
        """The names of the services that run already."""
        return set(self.addresses) - self.ours

    def settings(self) -> Settings:
        """Return the settings that every process of the stack will read."""
        given = {**os.environ, **self.environment}
        urls = {name.lower(): given[name] for name in ("MONGO_URL", "REDIS_URL", "AMQP_URL") if name in given}
        return Settings.model_validate(urls)


def choose_broker(wanted: BrokerChoice, environment: Mapping[str, str]) -> Broker:
    """Return the broker to use: RabbitMQ when it is asked for, given by AMQP_URL or installed; direct otherwise."""
    if wanted != "auto":
        return wanted
    return "rabbitmq" if environment.get("AMQP_URL") or services.rabbitmq_script() else "direct"


def lay_foundation(options: StackOptions, environment: Mapping[str, str]) -> Foundation:
    """Decide what is missing: a service with an address in the environment is used as it is. Raises ServerNotFound."""
    broker = choose_broker(options.broker, environment)
    missing: dict[str, tuple[str, Callable[[], tuple[Program, ...]]]] = {
        "mongodb": ("MONGO_URL", lambda: (services.mongodb(options.data, free_port()),)),
        "redis": ("REDIS_URL", lambda: (services.redis(options.data, free_port()),)),
    }
    if broker == "rabbitmq":
        missing["rabbitmq"] = ("AMQP_URL", lambda: services.rabbitmq(options.data, free_port()))
    chains: list[tuple[Program, ...]] = []
    addresses: dict[str, str] = {}
    ours: dict[str, str] = {"HEADWAY_BROKER": broker}
    for name, (variable, program) in missing.items():
        if given := environment.get(variable):
            addresses[name] = public_address(given)
            continue
        chain = program()
        assert chain[-1].url is not None
        chains.append(chain)
        addresses[name] = ours[variable] = chain[-1].url
    return Foundation(tuple(chains), addresses, ours, broker)


def bridges(options: StackOptions, foundation: Foundation) -> list[Program]:
    """Return the bridges."""
    return [_behind("bridge", number, "jobs.bridge", foundation, {}) for number in _numbers(options.bridges)]


def workers(options: StackOptions, foundation: Foundation) -> list[Program]:
    """Return the workers."""
    drain = {"HEADWAY_DRAIN_S": f"{worker_drain_s():g}"}
    return [_behind("worker", number, "jobs.worker", foundation, drain) for number in _numbers(options.workers)]


def worker_drain_s() -> float:
    """Return how long a worker drains: HEADWAY_DRAIN_S where it is set, else short, so that Ctrl-C is prompt."""
    return float(os.environ.get("HEADWAY_DRAIN_S", WORKER_DRAIN_S))


def gateways(options: StackOptions, foundation: Foundation) -> list[Program]:
    """Return the gateways: without nginx the first one has the address for clients."""
    ports = [free_port() for _ in _numbers(options.gateways)]
    if not options.with_nginx:
        ports[0] = options.port
    built = PROJECT / "ui" / "dist"
    own = {"HEADWAY_HOST": "127.0.0.1" if options.with_nginx else options.host}
    if "HEADWAY_UI_DIST" not in os.environ and built.is_dir():
        own["HEADWAY_UI_DIST"] = str(built)
    return [
        _headway("gateway", number, "gateway", foundation, {**own, "HEADWAY_PORT": str(port)}, port)
        for number, port in enumerate(ports, start=1)
    ]


def edge(options: StackOptions, gateway_programs: Sequence[Program]) -> tuple[Program, ...]:
    """Return nginx, where it is wanted. Raises ServerNotFound."""
    if not options.with_nginx:
        return ()
    ports = [program.port for program in gateway_programs if program.port is not None]
    return (services.nginx(options.data, options.host, options.port, ports),)


def _numbers(count: int) -> range:
    return range(1, count + 1)


def _behind(role: str, number: int, module: str, foundation: Foundation, own: Mapping[str, str]) -> Program:
    """Return a bridge or a worker, whose one port is for its operators on this machine."""
    port = free_port()
    listening = {"HEADWAY_HOST": "127.0.0.1", "HEADWAY_METRICS_PORT": str(port)}
    return _headway(role, number, module, foundation, {**own, **listening}, port)


def _headway(role: str, number: int, module: str, foundation: Foundation, own: Mapping[str, str], port: int) -> Program:
    return Program(
        f"{role}-{number}",
        (sys.executable, "-m", module),
        ready=lambda: http_ok(port, "/readyz"),
        port=port,
        url=f"http://127.0.0.1:{port}",
        env={**foundation.environment, **own, "PYTHONUNBUFFERED": "1"},
        cwd=PROJECT,
        ready_within_s=90.0,
    )
