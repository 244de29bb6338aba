"""The commands about tasks: submit, watch, tasks, cancel, retry."""

import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table

from cli.bar import STYLES, TaskBar
from cli.client import ApiClient, Refused
from cli.flags import parse_flags
from cli.session import DEFAULT_URL, Json, Url, client_for, complain, complete_kind, complete_task, run_api
from cli.tasks import ENDS, ExitStatus, TaskView, cancel, follow, follow_events, list_tasks, read_kind, retry, submit
from core.clock import utc_now
from core.states import TaskStatus

TaskIds = Annotated[list[str], typer.Argument(metavar="ID...", autocompletion=complete_task)]
Watch = Annotated[bool, typer.Option("--watch", help="Follow it to its end, like `watch`.")]


def submit_task(
    context: typer.Context,
    kind: Annotated[str, typer.Argument(help="Such as processData.", autocompletion=complete_kind)],
    task_input: Annotated[
        str | None, typer.Option("--input", help="The whole input instead of flags: JSON, @FILE or - for stdin.")
    ] = None,
    options: Annotated[str, typer.Option(help='Such as {"priority": "HIGH"}; JSON, @FILE or -.')] = "null",
    url: Url = DEFAULT_URL,
    watch_it: Watch = False,
) -> None:
    """Submit a task and print its id: `headway submit processData --data hello`.

    Each field of the kind's input is a flag; `headway submit KIND --flags` lists them.
    Where authentication is on, HEADWAY_TOKEN holds an API key or a token.
    """
    client, wanted = client_for(url), parse_json(options, "--options")
    if task_input is None:
        flags = ["--help" if argument == "--flags" else argument for argument in context.args]
        given: Any = parse_flags(run_api(lambda: read_kind(client, kind)), flags)
    elif context.args:
        raise typer.BadParameter(f"expected flags or --input, got both ({context.args[0]})", param_hint="--input")
    else:
        given = parse_json(task_input, "--input")
    task_id = run_api(lambda: submit(client, kind, given, wanted))
    if not watch_it:
        typer.echo(task_id)
        return
    typer.echo(task_id, err=True)
    raise typer.Exit(run_api(lambda: watch_with_bar(client, task_id)))


def watch(
    task_id: Annotated[str, typer.Argument(metavar="ID", autocompletion=complete_task)],
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """Follow a task with a live bar and print its result. HEADWAY_TOKEN may hold an API key or a token.

    A lost connection is made anew and nothing is missed; --json prints every event.
    Exit status: 0 SUCCEEDED, 4 FAILED, 5 CANCELLED, 6 EXPIRED, 1 refused by the server, 3 nobody answers.
    """
    client = client_for(url)
    raise typer.Exit(run_api(lambda: watch_as_json(client, task_id) if as_json else watch_with_bar(client, task_id)))


async def watch_with_bar(client: ApiClient, task_id: str) -> ExitStatus:
    """Draw the task on standard error to its end, then print its result. Raises ApiError."""
    return ENDS[(await draw_to_end(client, task_id)).status]


async def draw_to_end(client: ApiClient, task_id: str) -> TaskView:
    """Do what `watch_with_bar` does, and return the task as it ended. Raises ApiError."""
    view = None
    with TaskBar(Console(stderr=True)) as bar:
        async with aclosing(follow(client, task_id)) as views:
            async for view in views:
                bar.show(view)
    assert view is not None  # `follow` ends with a terminal status or raises.
    if view.result is not None:
        typer.echo(orjson.dumps(view.result, option=orjson.OPT_INDENT_2).decode())
    if reason := view.error or view.cancel_reason:
        complain(reason)
    return view


async def watch_as_json(client: ApiClient, task_id: str) -> ExitStatus:
    """Print each event of the task as a line, and at last the task with its result. Raises ApiError."""
    event: dict[str, Any] = {}
    async with aclosing(follow_events(client, task_id)) as events:
        async for event in events:
            print_json(event)
    async with aclosing(follow(client, task_id)) as views:
        async for view in views:
            print_json(
                {"event": "Ended", "id": view.id, "status": view.status, "error": view.error, "result": view.result}
            )
    return ENDS[TaskStatus(event["status"])]


def tasks(
    kinds: Annotated[
        list[str] | None, typer.Option("--kind", help="Of this kind.", autocompletion=complete_kind)
    ] = None,
    statuses: Annotated[list[TaskStatus] | None, typer.Option("--status", help="With this status.")] = None,
    batch: Annotated[str | None, typer.Option(metavar="ID", help="Of this batch.")] = None,
    since: Annotated[str | None, typer.Option(metavar="TIME", help="Submitted then or later, in ISO 8601.")] = None,
    first: Annotated[int, typer.Option("--first", "-n", min=1, max=100, help="How many, the newest first.")] = 20,
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """List tasks, the newest first. --kind and --status may be given several times."""
    wanted = {"kinds": kinds or None, "statuses": statuses or None, "batchId": batch, "createdFrom": since}
    task_filter = {name: value for name, value in wanted.items() if value is not None}
    found = run_api(lambda: list_tasks(client_for(url), task_filter, first))
    if as_json:
        for task in found:
            print_json(task)
        return
    if not found:
        typer.echo("No task matches.", err=True)
        return
    table = Table("ID", "KIND", "STATUS", "DONE", "AGE", box=None, pad_edge=False)
    for task in found:
        percent, age = task["progress"]["percent"], age_of(task["createdAt"])
        style = STYLES.get(TaskStatus(task["status"]), "")
        status = f"[{style}]{task['status']}[/]" if style else task["status"]
        table.add_row(task["id"], task["kind"], status, "" if percent is None else f"{percent:.0f} %", age)
    table.columns[0].no_wrap = True
    Console(highlight=False).print(table)


def age_of(moment: str) -> str:
    """Return how long ago it was, in its greatest unit: `42 s`, `5 min`, `3 h`, `2 d`."""
    seconds = max(0.0, (utc_now() - datetime.fromisoformat(moment)).total_seconds())
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f} {unit}"
    return f"{seconds:.0f} s"


def cancel_tasks(
    task_ids: TaskIds,
    reason: Annotated[str | None, typer.Option(help="Why, for whoever follows it.")] = None,
    url: Url = DEFAULT_URL,
) -> None:
    """Cancel tasks. Of one that runs the wish is stored; `watch` tells when it has stopped."""

    async def one(client: ApiClient, task_id: str) -> str:
        return f"{task_id} {await cancel(client, task_id, reason)}"

    _each(url, task_ids, one)


def retry_tasks(task_ids: TaskIds, url: Url = DEFAULT_URL) -> None:
    """Submit ended tasks again and print the new tasks' ids."""
    _each(url, task_ids, retry)


def _each(url: str, task_ids: Sequence[str], act: Callable[[ApiClient, str], Coroutine[Any, Any, str]]) -> None:
    """Do it to every task, also when one is refused; then say so by the exit status."""
    client = client_for(url)

    async def act_on_all() -> ExitStatus:
        status = ExitStatus.SUCCEEDED
        for task_id in task_ids:
            try:
                typer.echo(await act(client, task_id))
            except Refused as exc:
                complain(f"headway: {task_id}: {exc}")
                status = ExitStatus.REFUSED
        return status

    raise typer.Exit(run_api(act_on_all))


def print_json(value: Mapping[str, Any]) -> None:
    """Print one line of JSON at once, also into a pipe."""
    typer.echo(orjson.dumps(value).decode())


def parse_json(text: str, option: str) -> Any:
    """Return the JSON that an option gives: itself, `@FILE`, or `-` for standard input. Else it is wrong usage."""
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
