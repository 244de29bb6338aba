"""RabbitMQ as a cluster of three nodes on this machine, found by each other through a port mapper of their own."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from stack import services
from stack.process import Child, Guard, Program, free_port

NODES = 3
CLUSTER = "cluster_formation.peer_discovery_backend = classic_config\n" + "".join(
    f"cluster_formation.classic_config.nodes.{number} = headway{number}@localhost\n" for number in range(1, NODES + 1)
)


@dataclass(frozen=True)
class RabbitCluster:
    """What runs."""

    nodes: tuple[Child, ...]

    @property
    def url(self) -> str:
        """The AMQP_URL of all nodes."""
        return f"amqp://guest:guest@{','.join(f'127.0.0.1:{node.program.port}' for node in self.nodes)}/"

    def kill(self, node: Child) -> None:
        """End a node at once."""
        assert node.pid is not None
        os.kill(node.pid, signal.SIGKILL)
        node.await_end(10)

    def ask(self, node: Child, *words: str) -> list[list[str]]:
        """Return the table that RabbitMQ's own program tells at a node, a row a line."""
        script = services.rabbitmq_script()
        assert script is not None
        asked = subprocess.run(
            [str(script.with_name("rabbitmqctl")), "--quiet", "--no-table-headers", *words],
            env={**os.environ, **node.program.env},
            capture_output=True,
            text=True,
            check=True,
        )
        return [line.split("\t") for line in asked.stdout.splitlines()]


@contextmanager
def rabbitmq_cluster(folder: Path, guard: Guard) -> Iterator[RabbitCluster]:
    """Run it in a folder of its own; at the end nothing is left."""
    mapper, *programs = _programs(folder)
    children = [Child(each, folder / "logs" / f"{each.role}.log", guard) for each in (mapper, *programs)]
    try:
        for child in children[:2]:  # The first node has to be there for the others to join.
            child.start()
            child.await_ready()
        for child in children[2:]:
            child.start()
        for child in children[2:]:
            child.await_ready()
        yield RabbitCluster(tuple(children[1:]))
    finally:
        for child in reversed(children):
            child.stop(20)


def _programs(folder: Path) -> list[Program]:
    """Return the port mapper, then the nodes."""
    home = folder / "home"  # Where all find the one cookie, which the first makes.
    home.mkdir(parents=True)
    found: list[Program] = []
    for number in range(1, NODES + 1):
        mapper, server = services.rabbitmq(folder / str(number), free_port())
        config = folder / str(number) / "rabbitmq" / "rabbitmq.conf"
        config.write_text(config.read_text(encoding="utf-8") + CLUSTER, encoding="utf-8")
        if not found:
            found.append(mapper)
        own = {
            "HOME": str(home),
            "ERL_EPMD_PORT": str(found[0].port),
            "RABBITMQ_NODENAME": f"headway{number}@localhost",
        }
        found.append(replace(server, role=f"rabbitmq-{number}", env={**server.env, **own}))
    return found
