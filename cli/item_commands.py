"""The commands about items: import a file, export to one."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from cli.session import DEFAULT_URL, Url, client_for, complain, run_api
from cli.task_commands import draw_to_end, watch_with_bar
from cli.tasks import ENDS, ExitStatus, submit

items = typer.Typer(no_args_is_help=True)
MEDIA_TYPES = {"CSV": "text/csv", "NDJSON": "application/x-ndjson"}
SUFFIXES = {".csv": "CSV", ".ndjson": "NDJSON", ".jsonl": "NDJSON"}


class FileFormat(StrEnum):
    """How the file is written."""

    CSV = "CSV"
    NDJSON = "NDJSON"


@items.callback()
def about_items() -> None:
    """Items in bulk."""


@items.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, readable=True)],
    file_format: Annotated[
        FileFormat | None, typer.Option("--format", case_sensitive=False, help="By default as the name ends.")
    ] = None,
    key: Annotated[str, typer.Option(help="The column that says which item a row is.")] = "name",
    url: Url = DEFAULT_URL,
) -> None:
    """Insert or update an item for each row of a CSV or NDJSON file, with a live bar. Exits as `watch` does."""
    chosen = _format_of(file, file_format)
    client, content = client_for(url), file.read_bytes()

    async def send() -> ExitStatus:
        content_id = await client.upload("/imports/content", content, MEDIA_TYPES[chosen])
        task_input = {"format": chosen, "contentId": content_id, "keyField": key}
        task_id = await submit(client, "importItems", task_input)
        typer.echo(task_id, err=True)
        return await watch_with_bar(client, task_id)

    raise typer.Exit(run_api(send))


@items.command("export")
def export_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", dir_okay=False, writable=True)],
    file_format: Annotated[
        FileFormat | None, typer.Option("--format", case_sensitive=False, help="By default as the name ends.")
    ] = None,
    name_prefix: Annotated[str | None, typer.Option(help="Only items whose name begins with this.")] = None,
    name_contains: Annotated[str | None, typer.Option(help="Only items whose name contains this.")] = None,
    metadata: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH=VALUE", help="Only items with this value (JSON, else text) in their metadata."),
    ] = None,
    created_from: Annotated[str | None, typer.Option(metavar="TIME", help="Only items made then or later.")] = None,
    created_to: Annotated[str | None, typer.Option(metavar="TIME", help="Only items made before.")] = None,
    url: Url = DEFAULT_URL,
) -> None:
    """Write the items into a CSV or NDJSON file that `import` takes back, with a live bar. Exits as `watch` does."""
    chosen, client = _format_of(file, file_format), client_for(url)
    conditions = {
        "namePrefix": name_prefix,
        "nameContains": name_contains,
        "metadata": [_metadata_condition(text) for text in metadata or ()] or None,
        "createdFrom": created_from,
        "createdTo": created_to,
    }

    async def fetch() -> ExitStatus:
        task_id = await submit(client, "exportItems", {"format": chosen, "filter": conditions})
        typer.echo(task_id, err=True)
        ended = await draw_to_end(client, task_id)
        if ended.result is not None:
            await client.download(ended.result["url"], file)
        return ENDS[ended.status]

    try:
        raise typer.Exit(run_api(fetch))
    except OSError as exc:
        complain(f"headway: {file} can't be written: {exc.strerror}")
        raise typer.Exit(ExitStatus.REFUSED) from exc


def _format_of(file: Path, given: FileFormat | None) -> str:
    """Return the format that is given, or as the file's name ends. What tells neither is wrong usage."""
    chosen = given or SUFFIXES.get(file.suffix.lower())
    if chosen is None:
        raise typer.BadParameter(
            f"{file.name} ends neither in .csv nor .ndjson; say which it is", param_hint="--format"
        )
    return chosen


def _metadata_condition(text: str) -> dict[str, Any]:
    path, equals, value = text.partition("=")
    if not path or not equals:
        raise typer.BadParameter(f"expected PATH=VALUE, got {text!r}", param_hint="--metadata")
    try:
        return {"path": path, "value": orjson.loads(value)}
    except orjson.JSONDecodeError:
        return {"path": path, "value": value}
