"""The commands about items: import a file."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cli.session import DEFAULT_URL, Url, client_for, run_api
from cli.task_commands import watch_with_bar
from cli.tasks import ExitStatus, submit

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
    chosen = file_format or SUFFIXES.get(file.suffix.lower())
    if chosen is None:
        raise typer.BadParameter(
            f"{file.name} ends neither in .csv nor .ndjson; say which it is", param_hint="--format"
        )
    client, content = client_for(url), file.read_bytes()

    async def send() -> ExitStatus:
        content_id = await client.upload("/imports/content", content, MEDIA_TYPES[chosen])
        task_input = {"format": chosen, "contentId": content_id, "keyField": key}
        task_id = await submit(client, "importItems", task_input)
        typer.echo(task_id, err=True)
        return await watch_with_bar(client, task_id)

    raise typer.Exit(run_api(send))
