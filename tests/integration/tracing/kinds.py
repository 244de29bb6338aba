"""Kinds that log, the one on its worker's loop, the other in a process of its own."""

import logging

from pydantic import BaseModel, Field

from core.telemetry import get_logger
from jobs.kinds import AsyncTaskContext, TaskContext, kind


class NoteInput(BaseModel):
    """What to log."""

    text: str = Field(description="The event of the log lines.")


class Noted(BaseModel):
    """No result to speak of."""

    lines: int = Field(description="How many lines were logged.")


def note(text: str) -> Noted:
    """Log by structlog and by the standard library."""
    get_logger("kinds.own").info(text, by="structlog")
    logging.getLogger("kinds.other").warning(text)
    return Noted(lines=2)


@kind(timeout_s=60)
async def note_on_the_loop(ctx: AsyncTaskContext, input: NoteInput) -> Noted:
    """Log on the worker's event loop."""
    return note(input.text)


@kind(timeout_s=60)
def note_aside(ctx: TaskContext, input: NoteInput) -> Noted:
    """Log in a process for CPU-bound kinds."""
    return note(input.text)
