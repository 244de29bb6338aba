"""The kind whose cost per task and per event is measured: it does nothing but tell how far it is."""

import asyncio

from pydantic import BaseModel, Field

from jobs.kinds import AsyncTaskContext, kind


class TickInput(BaseModel):
    """How often to tell, and when."""

    ticks: int = Field(0, ge=0, description="How many times.")
    pause_s: float = Field(1.0, ge=0, description="Seconds before each.")


class Ticked(BaseModel):
    """What was told."""

    ticks: int = Field(description="How many times.")


@kind(timeout_s=600)
async def tick(ctx: AsyncTaskContext, input: TickInput) -> Ticked:
    """Tell progress in even steps."""
    for number in range(input.ticks):
        await asyncio.sleep(input.pause_s)
        ctx.progress(number + 1, input.ticks)
    return Ticked(ticks=input.ticks)
