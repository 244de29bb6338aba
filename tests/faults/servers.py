"""The services under the test's own control: no supervisor brings back what a scenario takes away."""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson

from stack import services
from stack.process import Child, Guard, Program, free_port


@dataclass(frozen=True)
class Server:
    """One service that may be stopped, frozen, emptied and started again on the same port."""

    child: Child
    folder: Path

    @property
    def url(self) -> str:
        """Its address."""
        assert self.child.program.url is not None
        return self.child.program.url

    @property
    def name(self) -> str:
        """The name of its program."""
        return Path(self.child.program.argv[0]).name

    async def start(self) -> None:
        """Start it and wait until it answers."""
        self.child.start()
        await asyncio.to_thread(self.child.await_ready)

    async def stop(self) -> None:
        """Have it end in good order."""
        await asyncio.to_thread(self.child.stop, 20.0)

    async def kill(self) -> None:
        """End it at once."""
        self.signal(signal.SIGKILL)
        await asyncio.to_thread(self.child.await_end, 5.0)

    async def empty(self) -> None:
        """Forget all its data. It must not run."""
        await asyncio.to_thread(shutil.rmtree, self.folder)
        self.folder.mkdir()

    def signal(self, signum: int) -> None:
        """Send it a signal."""
        assert self.child.pid is not None
        os.kill(self.child.pid, signum)


@dataclass(frozen=True)
class QueueCounts:
    """How many messages a broker queue holds: ready to be taken, and taken but not settled."""

    name: str
    ready: int
    unsettled: int


@dataclass(frozen=True)
class Servers:
    """What the stack under test stands on."""

    mongodb: Server
    redis: Server
    rabbitmq: Server

    def environment(self) -> dict[str, str]:
        """Return the addresses as every process reads them."""
        return {"MONGO_URL": self.mongodb.url, "REDIS_URL": self.redis.url, "AMQP_URL": self.rabbitmq.url}

    async def queues(self) -> list[QueueCounts]:
        """Return what every queue of RabbitMQ holds, as RabbitMQ's own program tells it."""
        script = services.rabbitmq_script()
        assert script is not None
        process = await asyncio.create_subprocess_exec(
            *(str(script.with_name("rabbitmqctl")), "--quiet", "list_queues", "--formatter=json"),
            *("name", "messages_ready", "messages_unacknowledged"),
            env={**os.environ, **self.rabbitmq.child.program.env},
            stdout=asyncio.subprocess.PIPE,
        )
        told, _ = await process.communicate()
        assert process.returncode == 0, told
        return [
            QueueCounts(queue["name"], queue["messages_ready"], queue["messages_unacknowledged"])
            for queue in orjson.loads(told)
        ]


@asynccontextmanager
async def running_servers(folder: Path) -> AsyncIterator[Servers]:
    """Run all of them in a folder of their own; at the end none is left."""
    guard = Guard()
    mapper_program, rabbit_program = services.rabbitmq(folder, free_port())
    mapper = _server(mapper_program, folder, guard)
    servers = Servers(
        _server(services.mongodb(folder, free_port()), folder, guard),
        _server(services.redis(folder, free_port()), folder, guard),
        _server(rabbit_program, folder, guard),
    )
    try:
        await mapper.start()
        await asyncio.gather(servers.mongodb.start(), servers.redis.start(), servers.rabbitmq.start())
        yield servers
    finally:
        await asyncio.gather(servers.mongodb.stop(), servers.redis.stop(), servers.rabbitmq.stop())
        await mapper.stop()
        guard.close()


def _server(program: Program, folder: Path, guard: Guard) -> Server:
    return Server(Child(program, folder / "logs" / f"{program.role}.log", guard), folder / program.role)
