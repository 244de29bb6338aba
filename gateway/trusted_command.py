"""`headway documents`: registering, listing and removing trusted documents, straight in MongoDB."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from graphql import GraphQLError, OperationDefinitionNode, parse

from core.documents import TrustedDocument
from core.errors import StartupError
from gateway.mongo_command import run, run_connected
from gateway.trusted import read_texts
from gateway.trusted_store import EVERY_S, MAX_CHARS, MAX_DOCUMENTS

app = typer.Typer(
    name="headway documents",
    help="Trusted documents of the installation at MONGO_URL. Gateways take them with HEADWAY_TRUSTED_MODE.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def add(
    path: Annotated[Path, typer.Argument(help="A document (.graphql), a manifest (.json), or a folder of them.")],
) -> None:
    """Register documents; those that are registered already stay as they are. Prints their ids."""
    texts = run(lambda: _checked(path))

    async def store() -> None:
        collection = TrustedDocument.get_pymongo_collection()
        known = await TrustedDocument.find({"_id": {"$in": sorted(texts)}}).to_list()
        new = [ident for ident in sorted(texts) if ident not in {document.id for document in known}]
        if await collection.count_documents({}) + len(new) > MAX_DOCUMENTS:
            raise StartupError(f"Expected at most {MAX_DOCUMENTS:,} documents in all")
        for ident in new:
            document = TrustedDocument(id=ident, name=_name(texts[ident]), text=texts[ident])
            await collection.replace_one({"_id": ident}, document.model_dump(by_alias=True), upsert=True)

    run_connected(store)
    for ident in sorted(texts):
        typer.echo(ident)
    typer.echo(f"Registered. Gateways notice within {EVERY_S:g} s.", err=True)


@app.command(name="list")
def list_documents() -> None:
    """List the registered documents by the names of their operations."""
    documents = run_connected(lambda: TrustedDocument.find_all().sort("name").to_list())
    for document in documents:
        typer.echo(f"{document.id}  {document.added_at:%Y-%m-%d %H:%M}  {document.name}")


@app.command()
def remove(ident: Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it.")]) -> None:
    """Take a document off the list."""

    async def delete() -> int:
        found = await TrustedDocument.get_pymongo_collection().delete_one({"_id": ident.removeprefix("sha256:")})
        return found.deleted_count

    if not run_connected(delete):
        typer.echo("headway: there is no document with this id; `headway documents list` shows them", err=True)
        raise typer.Exit(1)
    typer.echo(f"Removed. Gateways notice within {EVERY_S:g} s.")


async def _checked(path: Path) -> dict[str, str]:
    """Return the documents of a path. Raises StartupError if one is not what a gateway would read."""
    texts = read_texts(path)
    for ident, text in texts.items():
        if len(text) > MAX_CHARS:
            raise StartupError(f"{ident}: expected at most {MAX_CHARS:,} characters")
        try:
            parse(text, max_tokens=10_000)
        except GraphQLError as exc:
            raise StartupError(f"{ident}: {exc.message}") from exc
    return texts


def _name(text: str) -> str:
    names = [
        node.name.value if node.name else "unnamed"
        for node in parse(text, max_tokens=10_000).definitions
        if isinstance(node, OperationDefinitionNode)
    ]
    return ", ".join(names)[:200] or "no operation"


if __name__ == "__main__":
    sys.exit(app(prog_name="headway documents"))
