"""The commands and their options."""

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import orjson
import typer
from rich.console import Console

from cli.bar import TaskBar
from cli.client import CREDENTIAL, ApiClient, ApiError, Unreachable
from cli.tasks import ENDS, ExitStatus, follow, submit
from cli.up import bring_up
from stack.state import read_state
from stack.topology import StackOptions

DEFAULT_HOST = "127.0.0.1"
DEFAULT_URL = "http://127.0.0.1:8000"
DEFAULT_DATA = Path(".headway")
MOST_PROCESSES = 64

app = typer.Typer(
    help="Long-running work behind a GraphQL API, with progress that people can follow live and trust.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
T = TypeVar("T")
Url = Annotated[str, typer.Option("--url", envvar="HEADWAY_URL", help="Address of the running stack.")]
Count = Annotated[int, typer.Option(min=1, max=MOST_PROCESSES)]


class BrokerOption(StrEnum):
    """Which broker brings tasks to the bridges."""

    AUTO = "auto"
    RABBITMQ = "rabbitmq"
    DIRECT = "direct"


@app.command()
def up(
    port: Annotated[int, typer.Option(min=1, max=65535, help="The one address for clients.")] = 8000,
    gateways: Count = 1,
    workers: Count = 1,
    bridges: Count = 1,
    data: Annotated[Path, typer.Option(help="Where everything is kept and found again.")] = DEFAULT_DATA,
    broker: Annotated[BrokerOption, typer.Option(help="auto: RabbitMQ where it is installed.")] = BrokerOption.AUTO,
    demo: Annotated[bool, typer.Option(help="Run one task and draw its bar.")] = False,
    nginx: Annotated[bool | None, typer.Option(help="By default when there are several gateways.")] = None,
) -> None:
    """Start the whole stack on this machine and serve until Ctrl-C.

    MONGO_URL, REDIS_URL and AMQP_URL point it at services that run already; what is not given is started.
    """
    host = os.environ.get("HEADWAY_HOST", DEFAULT_HOST)
    options = StackOptions(data.resolve(), host, port, gateways, workers, bridges, broker.value, nginx)
    raise typer.Exit(asyncio.run(bring_up(options, demo=demo)))


PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True}


@app.command(context_settings=PASS_ON)
def gateway(context: typer.Context) -> None:
    """Run one gateway, configured by the environment."""
    _become("gateway", context)


@app.command(context_settings=PASS_ON)
def bridge(context: typer.Context) -> None:
    """Run one bridge, configured by the environment."""
    _become("jobs.bridge", context)


@app.command(context_settings=PASS_ON)
def worker(context: typer.Context) -> None:
    """Run one worker, configured by the environment."""
    _become("jobs.worker", context)


@app.command(context_settings=PASS_ON)
def schema(context: typer.Context) -> None:
    """Write schema.graphql from the code; --check only says whether it is stale."""
    _become("gateway.schema_export", context)


@app.command(context_settings=PASS_ON, add_help_option=False)
def keys(context: typer.Context) -> None:
    """Make, list and revoke API keys."""
    _point_at_stack(DEFAULT_DATA)
    _become("gateway.identity", context)


def _point_at_stack(data: Path) -> None:
    """Have the environment name the MongoDB of the stack that runs on this data, unless it names one already."""
    with suppress(FileNotFoundError):
        os.environ.setdefault("MONGO_URL", read_state(data).services["mongodb"])


def _become(module: str, context: typer.Context) -> NoReturn:
    os.execv(sys.executable, [sys.executable, "-m", module, *context.args])


@app.command(name="submit")
def submit_task(
    kind: Annotated[str, typer.Argument(help="Such as processData; `taskKinds` lists them.")],
    task_input: Annotated[str, typer.Option("--input", help="JSON, @FILE to read it from, or - for standard input.")],
    options: Annotated[str, typer.Option(help='Such as {"priority": "HIGH"}; JSON, @FILE or -.')] = "null",
    url: Url = DEFAULT_URL,
    watch_it: Annotated[bool, typer.Option("--watch", help="Follow it to its end, like `watch`.")] = False,
) -> None:
    """Submit a task and print its id. Where authentication is on, HEADWAY_TOKEN holds an API key or a token."""
    client = _client(url)
    arguments = _parse_json(task_input, "--input"), _parse_json(options, "--options")
    task_id = _run(lambda: submit(client, kind, *arguments))
    if not watch_it:
        typer.echo(task_id)
        return
    typer.echo(task_id, err=True)
    raise typer.Exit(_run(lambda: _watch(client, task_id)))


@app.command()
def watch(task_id: Annotated[str, typer.Argument(metavar="ID")], url: Url = DEFAULT_URL) -> None:
    """Follow a task with a live bar and print its result. HEADWAY_TOKEN may hold an API key or a token.

    Exit status: 0 SUCCEEDED, 4 FAILED, 5 CANCELLED, 6 EXPIRED, 1 refused by the server, 3 nobody answers.
    """
    client = _client(url)
    raise typer.Exit(_run(lambda: _watch(client, task_id)))


async def _watch(client: ApiClient, task_id: str) -> ExitStatus:
    view = None
    with TaskBar(Console(stderr=True)) as bar:
        async for view in follow(client, task_id):
            bar.show(view)
    assert view is not None  # `follow` ends with a terminal status or raises.
    if view.result is not None:
        typer.echo(orjson.dumps(view.result, option=orjson.OPT_INDENT_2).decode())
    if reason := view.error or view.cancel_reason:
        typer.echo(reason, err=True)
    return ENDS[view.status]


def _parse_json(text: str, option: str) -> Any:
    try:
        if text == "-":
            text = sys.stdin.read()
        elif text.startswith("@"):
            text = Path(text[1:]).read_text(encoding="utf-8")
        return orjson.loads(text)
    except (OSError, UnicodeDecodeError) as exc:
        raise typer.BadParameter(f"can't be read: {exc}", param_hint=option) from exc
    except orjson.JSONDecodeError as exc:
        raise typer.BadParameter(f"expected JSON: {exc}", param_hint=option) from exc


def _client(url: str) -> ApiClient:
    try:
        return ApiClient(url, os.environ.get(CREDENTIAL))
    except Unreachable as exc:
        raise typer.BadParameter(str(exc), param_hint="--url") from exc


def _run(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    try:
        return asyncio.run(work())
    except ApiError as exc:
        typer.echo(f"headway: {exc}", err=True)
        raise typer.Exit(ExitStatus.UNREACHABLE if isinstance(exc, Unreachable) else ExitStatus.REFUSED) from exc
    except KeyboardInterrupt as exc:
        raise typer.Exit(130) from exc


def run() -> None:
    """Run the command line."""
    app()
