"""Running the application: one listening socket, uvicorn on uvloop, a shutdown that tells clients first."""

import asyncio
import contextlib
import ctypes
import resource
import signal
import socket
from collections.abc import Iterator
from functools import partial

import uvicorn
from starlette.applications import Starlette

from core.errors import StartupError
from core.garbage import keep_what_is_here
from core.settings import Settings
from core.telemetry import get_logger
from gateway.app import create_app
from gateway.identity.settings import IdentitySettings, is_loopback
from gateway.opening import open_replica
from gateway.transports.connections import EdgeConfig
from gateway.transports.http_connection import HTTPConnection
from gateway.transports.limits import EdgeLimits
from gateway.transports.websocket_connection import WebSocketConnection

log = get_logger(__name__)

BACKLOG = 2048
KEEP_ALIVE_S = 75
"""Longer than nginx keeps an idle upstream connection (60 s), so that only nginx ends them."""
M_MMAP_THRESHOLD = -3
LARGE_BLOCK_BYTES = 131_072
OTHER_FILES = 500
"""Open files that are no client's: connections to services, logs, libraries."""


class Server(uvicorn.Server):
    """uvicorn's server, which ends sockets and streams first when it stops, and returns without raising the signal."""

    def __init__(self, app: Starlette, limits: EdgeLimits) -> None:
        super().__init__(
            EdgeConfig(
                app,
                limits,
                app.state.caps,
                loop="uvloop",
                http=HTTPConnection,
                ws=WebSocketConnection,
                forwarded_allow_ips=limits.trusted_proxies,
                ws_max_size=limits.max_message_bytes,
                ws_per_message_deflate=False,
                ws_ping_interval=limits.ping_interval_s,
                ws_ping_timeout=limits.ping_timeout_s,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=max(1, round(limits.shutdown_s)),
            )
        )
        self._sockets = app.state.sockets
        self._streams = app.state.streams
        self._shutdown_s = limits.shutdown_s

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Refuse new connections, let what runs end, close every socket and event stream, then stop."""
        for server in self.servers:
            server.close()
        await asyncio.gather(self._sockets.leave(self._shutdown_s), self._streams.leave(self._shutdown_s))
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at SIGINT and SIGTERM; the process then ends with 0."""
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(signum, self.handle_exit, signum, None)
        try:
            yield
        finally:
            for signum in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(signum)


def bind(host: str, port: int) -> socket.socket:
    """Return a bound socket that does not listen yet. Raises StartupError when the address can't be had."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, proto)
    except OSError as exc:
        raise StartupError(f"The gateway can't listen on {host}:{port}: {exc.strerror or exc}") from exc
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as exc:
        listener.close()
        raise StartupError(f"The gateway can't listen on {host}:{port}: {exc.strerror or exc}") from exc
    listener.setblocking(False)
    return listener


def make_room(connections: int) -> None:
    """Let this process open as many files as so many connections need, as far as the system allows; warn if it doesn't.

    A shell's usual 1,024 would have the 1,000th client wait unheard.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + OTHER_FILES
    allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if allowed > soft != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < needed:
        log.warning("The limit of open files allows fewer connections", connections=allowed - OTHER_FILES)


def give_large_blocks_back() -> None:
    """Have freed blocks of 128 KB and more go back to the system at once.

    glibc keeps them, up to 32 MB each, once it has seen a larger one freed (mallopt(3), M_MMAP_THRESHOLD): four answers
    of 16 MB left 130 MB behind. Other C libraries have no such thing.
    """
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES)


async def serve(settings: Settings, limits: EdgeLimits, identity: IdentitySettings) -> None:
    """Open the services, serve until SIGINT or SIGTERM, close them. Raises StartupError."""
    make_room(limits.connections)
    give_large_blocks_back()
    with bind(settings.host, settings.port) as listener:
        app = create_app(settings, limits, partial(open_replica, identity=identity))
        async with app.router.lifespan_context(app):
            host, port = listener.getsockname()[:2]
            listener.listen(BACKLOG)
            keep_what_is_here()
            if identity.is_off and not is_loopback(host):
                log.warning("HEADWAY_AUTH is off: whoever reaches this address may do everything", host=host)
            log.info("The gateway listens", host=host, port=port)
            await Server(app, limits).serve([listener])
    log.info("The gateway has stopped")
