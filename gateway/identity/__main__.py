"""`headway keys`: making, listing and revoking API keys, straight in MongoDB."""

import sys
from datetime import datetime, timedelta
from typing import Annotated

import typer

from core.clock import utc_now
from core.documents import ApiKey, Role
from gateway.identity.keys import CACHE_S, is_valid, new_key
from gateway.identity.tokens import MAX_OWNER_CHARS
from gateway.mongo_command import run_connected

MAX_NAME_CHARS = 100
MAX_DAYS = 3_650

app = typer.Typer(
    name="headway keys",
    help="API keys of the installation at MONGO_URL. Gateways take them with HEADWAY_AUTH=keys.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def create(
    name: Annotated[str, typer.Option(help="What the key is for, to tell it from others.")],
    owner: Annotated[str, typer.Option(help="Whose tasks it submits and sees.")],
    role: Annotated[Role, typer.Option(help="viewer reads, operator also submits, admin acts on everybody's.")],
    days: Annotated[float | None, typer.Option(help="It expires after so many; by default it does not.")] = None,
) -> None:
    """Make a key and print it, on a line of its own. It is never shown again."""
    _expect_text("--name", name, MAX_NAME_CHARS)
    _expect_text("--owner", owner, MAX_OWNER_CHARS)
    if days is not None and not 0 < days <= MAX_DAYS:
        raise typer.BadParameter(f"expected more than 0 and at most {MAX_DAYS:,}", param_hint="--days")
    expires_at = None if days is None else utc_now() + timedelta(days=days)

    async def store() -> str:
        text, key = new_key(name, owner, role, expires_at)
        await key.insert()
        return text

    text = run_connected(store)
    typer.echo("Keep it: it can't be shown again. The part before the second underscore is its id.", err=True)
    typer.echo(text)


@app.command(name="list")
def list_keys() -> None:
    """List all keys, the latest first. The secrets are not known here."""
    now = utc_now()
    rows = [("ID", "NAME", "OWNER", "ROLE", "CREATED", "EXPIRES", "STATE")]
    for key in run_connected(lambda: ApiKey.find_all().sort("-created_at").to_list()):
        state = "revoked" if key.revoked_at else "works" if is_valid(key, now) else "expired"
        rows.append((key.id, key.name, key.owner, key.role, _day(key.created_at), _day(key.expires_at), state))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@app.command()
def revoke(key_id: Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it: hwk_…")]) -> None:
    """Make a key useless, for good."""

    async def write() -> bool:
        keys = ApiKey.get_pymongo_collection()
        found = await keys.find_one_and_update(
            {"_id": key_id}, [{"$set": {"revoked_at": {"$ifNull": ["$revoked_at", utc_now()]}}}]
        )
        return found is not None

    if not run_connected(write):
        typer.echo("headway: there is no key with this id; `headway keys list` shows them", err=True)
        raise typer.Exit(1)
    typer.echo(f"Revoked. Gateways notice within {CACHE_S:g} s, and its streams end.")


def _expect_text(option: str, value: str, most: int) -> None:
    if not value.strip() or len(value) > most or not value.isprintable():
        raise typer.BadParameter(f"expected 1 to {most} printable characters", param_hint=option)


def _day(moment: datetime | None) -> str:
    return "never" if moment is None else moment.strftime("%Y-%m-%d %H:%M")


if __name__ == "__main__":
    sys.exit(app(prog_name="headway keys"))
