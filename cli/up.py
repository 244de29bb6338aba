"""`headway up` as its user sees it: few calm lines, one address, and the demo's bar."""

import os
from pathlib import Path

from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape

from cli.bar import TaskBar
from cli.client import CREDENTIAL, ApiClient, ApiError, is_local
from cli.tasks import follow, submit
from core.addresses import public_address
from core.errors import StartupError
from core.settings import Settings
from core.states import TaskStatus
from stack.folder import FolderInUse
from stack.process import ProcessFailed
from stack.services import ServerNotFound
from stack.supervisor import PortInUse, Supervisor
from stack.topology import StackOptions

DEMO_KIND = "processData"
DEMO_INPUT = {"data": "hello", "iterations": 200}


async def bring_up(options: StackOptions, *, demo: bool) -> int:
    """Run the stack until it is told to stop. Returns the exit status, having printed why if it is not 0."""
    console = Console(highlight=False)
    try:
        Settings()
        supervisor = Supervisor(options, lambda line: console.print(f"  {escape(line)}", soft_wrap=True))
        console.print(f"[bold]Headway[/] starts; data and logs in {escape(_short(options.data))}", soft_wrap=True)
        await supervisor.run(lambda: _welcome(console, supervisor, options, demo))
    except ValidationError as exc:
        wrong = exc.errors(include_url=False, include_input=False)[0]
        console.print(f"headway: {'.'.join(map(str, wrong['loc']))}: {wrong['msg']}", style="red", markup=False)
        return 1
    except (FolderInUse, PortInUse, ServerNotFound, ProcessFailed, StartupError, OSError) as exc:
        console.print(f"headway: {exc}", style="red", markup=False, soft_wrap=not console.is_terminal)
        return 1
    console.print("Stopped.")
    return 0


async def _welcome(console: Console, supervisor: Supervisor, options: StackOptions, demo: bool) -> None:
    foundation = supervisor.foundation
    for name, address in foundation.addresses.items():
        shown = public_address(address)
        console.print(f"  {name:<10}{escape(shown)}{'  (yours)' if name in foundation.given else ''}", soft_wrap=True)
    if foundation.broker == "direct":
        console.print("  broker    direct: no RabbitMQ, tasks go from MongoDB to the workers")
    parts = [_count(options.gateways, "gateway"), _count(options.bridges, "bridge"), _count(options.workers, "worker")]
    console.print(f"  {', '.join(parts)}{', nginx' if options.with_nginx else ''}")
    if os.environ.get("HEADWAY_AUTH", "off") in ("", "off") and not is_local(options.host):
        console.print(f"  [yellow]HEADWAY_AUTH is off: whoever reaches {options.host} may do everything[/]")
    if demo:
        await _run_demo(console, options.url)
    console.print(f"\n[bold green]Ready:[/] [bold]{options.url}[/]   Ctrl-C stops it.")


async def _run_demo(console: Console, url: str) -> None:
    client = ApiClient(url, os.environ.get(CREDENTIAL))
    try:
        task_id = await submit(client, DEMO_KIND, DEMO_INPUT)
        with TaskBar(console) as bar:
            async for view in follow(client, task_id):
                bar.show(view)
    except ApiError as exc:
        console.print(f"  the demo task could not be run: {exc}", style="red", markup=False, soft_wrap=True)
        return
    if view.status is not TaskStatus.SUCCEEDED:
        console.print(f"  the demo task ended {view.status}: {view.error}", style="red", markup=False, soft_wrap=True)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
