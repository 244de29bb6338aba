"""Redis with Sentinel on this machine: a master, a replica, and three Sentinels that agree on who is which."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from stack import services
from stack.probes import redis_answers
from stack.process import Child, Guard, Program, free_port

MASTER = "headway"
CONFIG = """\
bind 127.0.0.1
port {port}
dir {folder}
sentinel monitor {master} 127.0.0.1 {master_port} 2
sentinel down-after-milliseconds {master} 1000
sentinel failover-timeout {master} 4000
"""
SENTINELS = 3


@dataclass(frozen=True)
class RedisWithSentinel:
    """What runs. The servers are the first master and its replica."""

    servers: tuple[Child, Child]
    sentinels: tuple[Child, ...]

    @property
    def url(self) -> str:
        """The REDIS_URL that asks all Sentinels."""
        hosts = ",".join(f"127.0.0.1:{each.program.port}" for each in self.sentinels)
        return f"redis+sentinel://{hosts}/{MASTER}/0"


@contextmanager
def redis_with_sentinel(folder: Path, guard: Guard) -> Iterator[RedisWithSentinel]:
    """Run it in a folder of its own; at the end nothing is left."""
    master = services.redis(folder / "one", free_port())
    replica = services.redis(folder / "two", free_port())
    programs = [
        replace(master, role="redis-1"),
        replace(
            replica,
            role="redis-2",
            argv=(*replica.argv, "--replicaof", "127.0.0.1", str(master.port)),
            ready=lambda: _is_replica(replica),
        ),
        *(_sentinel(folder, number, master) for number in range(SENTINELS)),
    ]
    children = [Child(program, folder / "logs" / f"{program.role}.log", guard) for program in programs]
    try:
        for some in (children[:2], children[2:]):  # A Sentinel asks for replicas at its start, then after ten seconds.
            for child in some:
                child.start()
            for child in some:
                child.await_ready()
        yield RedisWithSentinel((children[0], children[1]), tuple(children[2:]))
    finally:
        for child in reversed(children):
            child.stop()


def _is_replica(program: Program) -> bool:
    """Return whether a replica has all that its master has."""
    assert program.url is not None
    with Redis.from_url(program.url) as client:
        try:
            return bool(client.info("replication").get("master_link_status") == "up")
        except RedisError:
            return False


def _sentinel(folder: Path, number: int, master: Program) -> Program:
    port = free_port()
    own = folder / f"sentinel-{number}"
    own.mkdir(parents=True)
    config = own / "sentinel.conf"
    config.write_text(CONFIG.format(port=port, folder=own, master=MASTER, master_port=master.port), encoding="utf-8")
    return Program(
        own.name, (master.argv[0], str(config), "--sentinel"), ready=lambda: redis_answers(port), port=port, cwd=own
    )
