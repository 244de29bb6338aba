"""What the commands share that work straight in MongoDB: a connection of their own, and errors told in a line."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import typer
from pydantic import ValidationError
from pymongo.errors import PyMongoError

from core.connections import open_mongo
from core.errors import StartupError
from core.settings import Settings

STARTUP_WAIT_S = 5.0


def run(work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Return what the work comes to. Where it can't be done, says why and exits with 1."""
    try:
        return asyncio.run(work())
    except (StartupError, PyMongoError) as exc:
        typer.echo(f"headway: {exc}", err=True)
    except ValidationError as exc:
        wrong = exc.errors(include_url=False, include_input=False)[0]
        typer.echo(f"headway: {'.'.join(map(str, wrong['loc']))}: {wrong['msg']}", err=True)
    raise typer.Exit(1)


def run_connected(work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Do the same with Beanie's documents bound to the installation's database."""

    async def connected() -> Any:
        client = await open_mongo(Settings(startup_wait_s=STARTUP_WAIT_S))
        try:
            return await work()
        finally:
            await client.close()

    return run(connected)
