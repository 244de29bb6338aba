"""A real gateway on real services with authentication on, and an issuer of tokens that serves its keys over HTTP."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from core.connections import MongoClient
from core.settings import Settings
from gateway.app import create_app
from gateway.identity.settings import IdentitySettings
from gateway.opening import open_replica
from gateway.server import bind
from gateway.transports.limits import EdgeLimits
from tests.integration.gateway_schema import conftest as services
from tests.integration.gateway_transports.edge import Edge, QuietServer
from tests.integration.gateway_transports.standin import Probe
from tests.unit.identity.signing import AUDIENCE, ISSUER, SECRET, PrivateKey, sign

settings = services.settings
open_gateway = services.open_gateway
gateway = services.gateway
Serve = Callable[..., Awaitable[Edge]]
JWT: dict[str, Any] = {"auth": "keys,jwt", "jwt_secret": SECRET, "jwt_issuer": ISSUER, "jwt_audience": AUDIENCE}


def bearer(owner: str = "alice", role: str | None = "operator", **changes: Any) -> dict[str, str]:
    """Return the headers of a caller with a token."""
    return {"Authorization": f"Bearer {sign(SECRET, 'HS256', sub=owner, role=role, **changes)}"}


@pytest.fixture
async def serve(settings: Settings, mongo: MongoClient) -> AsyncIterator[Serve]:
    """Start gateways with these identity settings; at the end nothing may be left in any of them."""
    async with AsyncExitStack() as stack:

        async def start(limits: EdgeLimits | None = None, **identity: Any) -> Edge:
            given = IdentitySettings(**{**JWT, **identity})
            app = create_app(settings, limits or EdgeLimits(), partial(open_replica, identity=given))
            listener = stack.enter_context(bind("127.0.0.1", 0))
            listener.listen(100)
            await stack.enter_async_context(app.router.lifespan_context(app))
            server = QuietServer(app, limits or EdgeLimits())
            serving = asyncio.create_task(server.serve([listener]))
            edge = Edge(app, server, Probe(), listener.getsockname()[1], serving)
            stack.push_async_callback(edge.stop)
            stack.push_async_callback(edge.wait_until_empty)
            return edge

        yield start


@dataclass
class Issuer:
    """Who signs tokens: its key set may change, be broken, or not be there."""

    keys: dict[str, PrivateKey] = field(default_factory=dict)
    status: int = 200
    asked: int = 0
    body: bytes | None = None
    hold: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def document(self) -> bytes:
        """Return the key set as JSON."""
        if self.body is not None:
            return self.body
        return orjson.dumps({"keys": [_jwk(kid, key) for kid, key in self.keys.items()]})


def _jwk(kid: str, key: PrivateKey) -> dict[str, Any]:
    if isinstance(key, RSAPrivateKey):
        made = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    else:
        made = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {**made, "kid": kid, "use": "sig"}


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """A real HTTP server with the issuer's keys."""
    with running_issuer() as issuer:
        yield issuer


@contextmanager
def running_issuer() -> Iterator[Issuer]:
    """Serve an issuer's keys over HTTP."""
    issuer = Issuer()
    issuer.hold.set()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked += 1
            issuer.hold.wait(10)
            body = issuer.document()
            self.send_response(issuer.status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        issuer.url = f"http://127.0.0.1:{server.server_port}/keys"
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        serving.start()
        yield issuer
        issuer.hold.set()
        server.shutdown()
        serving.join()
