"""Addresses of services as URLs that may name several hosts, and what of them may be shown. Opens nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from core.errors import StartupError

SENTINEL_PORT = 26379
AMQP_PORTS = {"amqp": 5672, "amqps": 5671}
SENTINEL_FORM = "redis+sentinel://user:password@host:26379,host:26379/<name of the master>/<database>"


def public_address(url: str) -> str:
    """Return scheme, hosts, port and path of a URL, without user, password and query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def hosts_of(parts: SplitResult, default_port: int) -> list[tuple[str, int]]:
    """Return the hosts of a URL and their ports. Raises ValueError for a port that is none, or if there is no host."""
    hosts = []
    for each in parts.netloc.rpartition("@")[2].split(","):
        one = urlsplit(f"//{each}")
        if not one.hostname:
            raise ValueError("a host is missing")
        hosts.append((one.hostname, one.port or default_port))
    return hosts


@dataclass(frozen=True)
class SentinelAddress:
    """Where Sentinels are asked which Redis is the master now."""

    hosts: list[tuple[str, int]]
    master: str
    database: int
    username: str | None
    password: str | None
    has_tls: bool
    query: Mapping[str, str]
    """`sentinel_username` and `sentinel_password`, where the Sentinels want a password of their own."""


def sentinel_address(url: str) -> SentinelAddress | None:
    """Return what a URL of Sentinels says, None if it is that of a single Redis. Raises StartupError."""
    parts = urlsplit(url)
    if parts.scheme not in ("redis+sentinel", "rediss+sentinel"):
        return None
    try:
        return _sentinel_address(parts)
    except ValueError as exc:
        raise StartupError(f"REDIS_URL: expected {SENTINEL_FORM} ({exc})") from exc


def _sentinel_address(parts: SplitResult) -> SentinelAddress:
    master, _, database = parts.path.strip("/").partition("/")
    if not master:
        raise ValueError("the name of the master is missing")
    return SentinelAddress(
        hosts_of(parts, SENTINEL_PORT),
        unquote(master),
        int(database or 0),
        unquote(parts.username) if parts.username else None,
        unquote(parts.password) if parts.password else None,
        parts.scheme.startswith("rediss"),
        dict(parse_qsl(parts.query)),
    )


def amqp_urls(url: str) -> list[str]:
    """Return the URL of each node that a URL names, `amqp://user:password@host:5672,host:5672/vhost` being one of all.

    Raises StartupError.
    """
    parts = urlsplit(url)
    try:
        hosts = hosts_of(parts, AMQP_PORTS[parts.scheme])
    except (KeyError, ValueError) as exc:
        raise StartupError("AMQP_URL: expected amqp:// or amqps://, user:password@host:port,host:port/vhost") from exc
    credentials = parts.netloc.rpartition("@")[0]
    at = f"{credentials}@" if credentials else ""
    return [parts._replace(netloc=f"{at}{_bracketed(host)}:{port}").geturl() for host, port in hosts]


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def mongo_has_tls(url: str) -> bool:
    """Return whether a URL has its connections encrypted: with SRV they are unless it says otherwise."""
    parts = urlsplit(url)
    options = {name.lower(): value for name, value in parse_qsl(parts.query)}
    said = options.get("tls", options.get("ssl"))
    return said == "true" if said is not None else parts.scheme == "mongodb+srv"
