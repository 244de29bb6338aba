"""`headway doctor`: prints what a check-up found, and what to do about it."""

import logging
import os
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli.checkup import examine
from cli.client import ApiClient
from cli.findings import Level
from cli.session import DEFAULT_URL, Json, Url, client_for, complain, run_api
from cli.task_commands import print_json
from core.settings import Settings
from stack.state import read_state

MARKS = {Level.OK: "[green]✓[/]", Level.WARN: "[yellow]![/]", Level.BAD: "[red]✗[/]"}
VARIABLES = {"mongodb": "MONGO_URL", "redis": "REDIS_URL", "rabbitmq": "AMQP_URL"}


def doctor(
    data: Annotated[Path, typer.Option(help="The data of a stack on this machine.")] = Path(".headway"),
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """Check every service, version, index, queue and clock, and say what to do. Exits with 1 if something is wrong.

    It asks the stack that runs on --data, or the services that MONGO_URL, REDIS_URL and AMQP_URL name.
    """
    given: dict[str, str] = {}
    with suppress(FileNotFoundError):
        state = read_state(data)
        given = {VARIABLES[name].lower(): address for name, address in state.services.items()}
        given = {name: address for name, address in given.items() if name.upper() not in os.environ}
        given["broker"] = state.broker
        url = state.url if url == DEFAULT_URL else url
    try:
        settings = Settings.model_validate({**given, "startup_wait_s": 0, "mongo_pool_min": 0})
    except ValidationError as exc:
        wrong = exc.errors(include_url=False, include_input=False)[0]
        complain(f"headway: {'.'.join(map(str, wrong['loc']))}: {wrong['msg']}")
        raise typer.Exit(1) from exc
    client = client_for(url)
    logging.disable()  # What the drivers would log is told as a finding.
    raise typer.Exit(run_api(lambda: _report(client, settings, as_json)))


async def _report(client: ApiClient, settings: Settings, as_json: bool) -> int:
    console, wrong = Console(highlight=False), 0
    async with aclosing(examine(client, settings)) as findings:
        async for finding in findings:
            wrong += finding.level is Level.BAD
            if as_json:
                print_json(vars(finding))
                continue
            _tell(console, MARKS[finding.level], f"{finding.what}: {escape(finding.said)}")
            if finding.advice:
                _tell(console, "    →", escape(finding.advice))
    if not as_json:
        console.print(f"{wrong} to mend." if wrong else "All is well.")
    return 1 if wrong else 0


def _tell(console: Console, mark: str, text: str) -> None:
    """Print one line; what is too long for a terminal goes on below its text."""
    if not console.is_terminal:
        console.print(f"{mark} {text}", soft_wrap=True)
        return
    line = Table.grid(padding=(0, 1, 0, 0))
    line.add_row(mark, text)
    console.print(line)
