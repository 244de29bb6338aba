"""The gateway as one ASGI application: its routes, and the replica that its lifespan opens."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from core.settings import Settings
from gateway.edge import Edge
from gateway.health import check
from gateway.opening import open_replica
from gateway.operations import Operations
from gateway.pages import Pages
from gateway.replica import Replica
from gateway.responses import apology, json_error, json_response
from gateway.tracing import TracingMiddleware
from gateway.transports.caps import Caps
from gateway.transports.downloads import Downloads
from gateway.transports.hosts import Hosts
from gateway.transports.http import GraphQLHTTP
from gateway.transports.limits import EdgeLimits
from gateway.transports.sockets import GraphQLWebSocket, Sockets
from gateway.transports.streams import Streams
from gateway.transports.uploads import Uploads
from gateway.trusted import load_trusted

Opening = Callable[[Settings], AbstractAsyncContextManager[Replica]]


class Gateway(Starlette):
    """The application; its state holds what the lifespan has opened, save what each request asks for."""

    graphql_http: GraphQLHTTP

    def __init__(self, settings: Settings, limits: EdgeLimits, **options: Any) -> None:
        self._settings = settings
        self._limits = limits
        super().__init__(**options)
        self.router.redirect_slashes = False

    def build_middleware_stack(self) -> ASGIApp:
        """Return all that a request passes, from the outside to the routes; `/graphql` is none of them."""
        hosts = Hosts(self._limits, self._settings.host)
        edge = Edge(super().build_middleware_stack(), hosts, logs=self._limits.request_log)
        return TracingMiddleware(edge) if self._settings.traces else edge


class FileEndpoint:
    """Serves `/files/{id}` from what the lifespan has opened; it needs to know when the last byte is sent."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await scope["app"].state.downloads(scope, receive, send)


def create_app(settings: Settings, limits: EdgeLimits | None = None, opening: Opening = open_replica) -> Gateway:
    """Return the application. Nothing is opened before its lifespan begins; both raise StartupError.

    `app.state.sockets` and `app.state.streams` hold what is open, for a server that wants to close it before it stops,
    and `app.state.caps` counts what is held for whom.
    """
    limits = limits or EdgeLimits()
    trusted = load_trusted(limits)
    pages = Pages(settings.ui_dist)
    sockets = Sockets()
    caps = Caps(limits)
    streams = Streams(limits, caps)

    @asynccontextmanager
    async def lifespan(app: Gateway) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            replica = await stack.enter_async_context(opening(settings))
            if replica.stored is not None and not trusted.is_off:
                trusted.follow(await stack.enter_async_context(replica.stored.followed()))
            operations = Operations(replica.schema, limits, trusted)
            app.state.replica = replica
            app.graphql_http = GraphQLHTTP(replica, operations, pages, streams, limits)
            app.state.graphql_websocket = GraphQLWebSocket(replica, operations, sockets, caps, limits)
            app.state.uploads = Uploads(replica, caps, limits)
            app.state.downloads = Downloads(replica, caps)
            yield

    app = Gateway(
        settings,
        limits,
        routes=_routes(pages),
        exception_handlers={HTTPException: refuse, Exception: apologise},
        lifespan=lifespan,
    )
    app.state.sockets = sockets
    app.state.caps = caps
    app.state.streams = streams
    return app


def _routes(pages: Pages) -> list[BaseRoute]:
    async def explorer(_request: Request) -> Response:
        return pages.explorer()

    async def board(_request: Request) -> Response:
        return pages.board()

    return [
        Route("/imports/content", upload, methods=["POST"]),
        Route("/files/{file_id}", FileEndpoint(), methods=["GET"]),
        Route("/", explorer),
        Route("/board", board),
        Route("/board/{view:path}", board),
        Route("/livez", live),
        Route("/readyz", ready),
        Route("/health", health),
        Route("/metrics", metrics),
        Mount("/ui", pages),
    ]


async def upload(request: Request) -> Response:
    """Take a file to be imported."""
    uploads: Uploads = request.app.state.uploads
    return await uploads(request)


async def live(_request: Request) -> Response:
    """Say that the process is alive, whatever its services do."""
    return json_response({"status": "alive"})


async def ready(request: Request) -> Response:
    """Say whether this replica can serve: 503 tells a load balancer to choose another one."""
    found = await check(request.app.state.replica.services)
    return json_response(found.as_json(), 200 if found.is_ready else 503)


async def health(request: Request) -> Response:
    """Tell how each service is; always 200, for people and dashboards."""
    found = await check(request.app.state.replica.services)
    return json_response(found.as_json())


async def metrics(_request: Request) -> Response:
    """Return this process's numbers in Prometheus' text format."""
    return Response(generate_latest(), headers={"content-type": CONTENT_TYPE_LATEST, "cache-control": "no-store"})


async def refuse(request: Request, exc: Exception) -> Response:
    """Answer what Starlette refuses (no such path, no such method) as JSON."""
    assert isinstance(exc, HTTPException)
    if exc.status_code == 404:
        return json_error(404, "NOT_FOUND", f"There is nothing at {request.url.path[:200]}")
    return json_error(exc.status_code, "BAD_REQUEST", exc.detail, exc.headers)


async def apologise(request: Request, _exc: Exception) -> Response:
    """Answer a bug; Starlette raises it again, so that the server logs it under the request's correlation id."""
    return apology(request.scope["correlation_id"])
