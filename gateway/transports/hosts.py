"""By which names this gateway may be asked, and whose pages may open a socket here.

While authentication is off, whoever reaches the gateway may do everything, and every page that a user visits can reach
what his browser can: a page whose own name is made to point here (DNS rebinding) is of the same origin then. Its name
stays in `Host`, and that is what is looked at. An address is no name that anybody could point elsewhere.
"""

import ipaddress
from functools import lru_cache
from urllib.parse import urlsplit

from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from gateway.metrics import REFUSED
from gateway.responses import json_error
from gateway.transports.limits import EdgeLimits

ANY = "*"
OPEN_PATHS = frozenset({"/livez", "/readyz", "/health", "/metrics"})
"""Asked by machines under whatever name they have for a replica; they change nothing and hold no secret."""
USUAL_CHARS = 300
"""What was found of names that are no longer is kept: it takes 10 µs to find."""
DEFAULT_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}


class Hosts:
    """The names that are this gateway's: with authentication on, any name is where none are listed."""

    def __init__(self, limits: EdgeLimits, own: str) -> None:
        self._listed = frozenset(host.lower().rstrip(".") for host in limits.allowed_hosts)
        self._names = self._listed | {own.lower()}

    def allow(self, scope: Scope) -> bool:
        """Whether the request asks under a name of ours; its head has all that it names, joined by commas."""
        hosts = scope["head"].fields.get(b"host", b"")
        are_own = _are_usual_own(hosts, self._names) if len(hosts) <= USUAL_CHARS else _are_own(hosts, self._names)
        if are_own or ANY in self._listed or scope["path"] in OPEN_PATHS:
            return True
        return not self._listed and not scope["app"].state.replica.authenticator.is_off


def _are_own(hosts: bytes, names: frozenset[str]) -> bool:
    return all(is_own_name(host, names) for host in hosts.decode("latin-1").split(","))


_are_usual_own = lru_cache(maxsize=256)(_are_own)


async def refuse_host(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request under another's name."""
    REFUSED.labels("host").inc()
    message = "Expected the name or address of this gateway in Host; HEADWAY_ALLOWED_HOSTS lists its names"
    refusal = json_error(421, "MISDIRECTED_REQUEST", message, {"connection": "close"})
    if scope["type"] == "http":
        await refusal(scope, receive, send)
    else:
        await WebSocket(scope, receive, send).send_denial_response(refusal)


def is_own_name(host: str, names: frozenset[str]) -> bool:
    """Whether a Host header, with its port or without, names this machine, one of `names` or an address."""
    name = _split(f"//{host}")[0]
    if name is None:
        return not host.strip()
    name = name.rstrip(".")
    return name == "localhost" or name.endswith(".localhost") or name in names or _is_address(name)


def is_origin_allowed(origin: str, host: str, allowed: tuple[str, ...]) -> bool:
    """Whether a page of this origin is one of the host that it asks, port and all, or of one that is allowed.

    `allowed` holds names (any port of them), names with ports, or whole origins. TLS may end before us, so the
    scheme is not compared: a port that is not said is the default one of the origin's scheme.
    """
    name, port = _split(origin)
    if name is None:
        return False
    default = DEFAULT_PORTS.get(urlsplit(origin).scheme)
    port = port or default
    if {name, f"{name}:{port}", origin.lower()} & {one.lower() for one in allowed}:
        return True
    own_name, own_port = _split(f"//{host}")
    return (name, port) == (own_name, own_port or default)


def _split(url: str) -> tuple[str | None, int | None]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # It is no address.
        return None, None
    return parts.hostname or None, port


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
