"""What the commands that speak to a running stack share: its address, a client for it, and errors as one line."""

import asyncio
import os
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console

from cli.client import CREDENTIAL, ApiClient, ApiError, Unreachable
from cli.tasks import ExitStatus

DEFAULT_URL = "http://127.0.0.1:8000"
Url = Annotated[str, typer.Option("--url", envvar="HEADWAY_URL", help="Address of the running stack.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line, for programs.")]
T = TypeVar("T")


def client_for(url: str) -> ApiClient:
    """Return a client that presents what HEADWAY_TOKEN holds. An address that can't be one is wrong usage."""
    try:
        return ApiClient(url, os.environ.get(CREDENTIAL))
    except Unreachable as exc:
        raise typer.BadParameter(str(exc), param_hint="--url") from exc


def run_api(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run it to its end; an ApiError becomes one line and an exit status."""
    try:
        return asyncio.run(work())
    except ApiError as exc:
        complain(f"headway: {exc}")
        raise typer.Exit(ExitStatus.UNREACHABLE if isinstance(exc, Unreachable) else ExitStatus.REFUSED) from exc
    except KeyboardInterrupt as exc:
        raise typer.Exit(130) from exc


def complain(message: str) -> None:
    """Print it on standard error: one line, which a terminal alone gets broken, and then between words."""
    console = Console(stderr=True, highlight=False)
    console.print(message, markup=False, emoji=False, soft_wrap=not console.is_terminal)


def complete_kind(incomplete: str) -> list[tuple[str, str]]:
    """Return the kinds that begin so, for the shell; none where no stack answers."""
    kinds = _ask("{ taskKinds { name description } }", "taskKinds")
    return [(kind["name"], kind["description"].partition("\n")[0]) for kind in kinds if _begins(kind, incomplete)]


def complete_task(incomplete: str) -> list[tuple[str, str]]:
    """Return the latest tasks whose id begins so, for the shell; none where no stack answers."""
    found = _ask("{ tasks(first: 50) { nodes { id kind status } } }", "tasks")
    tasks = found["nodes"] if found else []
    return [(task["id"], f"{task['kind']} {task['status']}") for task in tasks if task["id"].startswith(incomplete)]


def _begins(kind: dict[str, Any], incomplete: str) -> bool:
    return str(kind["name"]).startswith(incomplete)


def _ask(query: str, field: str) -> Any:
    try:
        client = client_for(os.environ.get("HEADWAY_URL", DEFAULT_URL))
        return asyncio.run(client.execute(query, {}, timeout_s=2.0))[field]
    except (ApiError, typer.BadParameter):
        return []
