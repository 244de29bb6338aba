"""The commands and their options."""

import asyncio
import os
import sys
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from cli.doctor import doctor
from cli.item_commands import items
from cli.new_kind import DEFAULT_KINDS, new_kind
from cli.task_commands import cancel_tasks, retry_tasks, submit_task, tasks, watch
from cli.up import bring_up
from stack.reload import name_kinds
from stack.state import read_state
from stack.topology import StackOptions

DEFAULT_HOST = "127.0.0.1"
DEFAULT_DATA = Path(".headway")
MOST_PROCESSES = 64

app = typer.Typer(
    help="Long-running work behind a GraphQL API, with progress that people can follow live and trust.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
Count = Annotated[int, typer.Option(min=1, max=MOST_PROCESSES)]


def _existing_folder(folder: Path) -> Path:
    """Refuse a folder that was named and is not there."""
    if folder != DEFAULT_KINDS and not folder.is_dir():
        raise typer.BadParameter(f"expected a folder, and there is none at {folder}")
    return folder


KindsFolder = Annotated[
    Path, typer.Option(help="A folder whose modules are kinds of your own.", callback=_existing_folder)
]


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
    kinds: KindsFolder = DEFAULT_KINDS,
    reload: Annotated[bool, typer.Option("--reload", help="Have saved kinds take effect at once.")] = False,
) -> None:
    """Start the whole stack on this machine and serve until Ctrl-C.

    MONGO_URL, REDIS_URL and AMQP_URL point it at services that run already; what is not given is started.
    """
    host = os.environ.get("HEADWAY_HOST", DEFAULT_HOST)
    counts = (gateways, workers, bridges)
    options = StackOptions(data.resolve(), host, port, *counts, broker.value, nginx, kinds.resolve(), reload)
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


@app.command(context_settings=PASS_ON, add_help_option=False)
def documents(context: typer.Context) -> None:
    """Register, list and remove trusted documents."""
    _point_at_stack(DEFAULT_DATA)
    _become("gateway.trusted_command", context)


@app.command(context_settings=PASS_ON)
def check_kinds(
    context: typer.Context,
    kinds: KindsFolder = DEFAULT_KINDS,
) -> None:
    """Refuse kinds that can't run what is in flight: exits with 1 and says which tasks. Run it before a deploy."""
    _point_at_stack(DEFAULT_DATA)
    name_kinds(kinds.resolve(), os.environ)
    _become("jobs.contracts", context)


def _point_at_stack(data: Path) -> None:
    """Have the environment name the MongoDB of the stack that runs on this data, unless it names one already."""
    with suppress(FileNotFoundError):
        os.environ.setdefault("MONGO_URL", read_state(data).services["mongodb"])


def _become(module: str, context: typer.Context) -> NoReturn:
    os.execv(sys.executable, [sys.executable, "-m", module, *context.args])


app.command("submit", context_settings=PASS_ON)(submit_task)
app.command()(watch)
app.command()(tasks)
app.command("cancel")(cancel_tasks)
app.command("retry")(retry_tasks)
app.command()(doctor)
app.command("new-kind")(new_kind)
app.add_typer(items, name="items")


def run() -> None:
    """Run the command line."""
    app()
