"""The kinds that are measured. A gateway and a worker under measurement load them by HEADWAY_KIND_MODULES."""

import asyncio
import time

from pydantic import BaseModel, Field

from jobs.kinds import AsyncTaskContext, kind


class MeasuredInput(BaseModel):
    """What a task that does nothing says meanwhile."""

    steps: int = Field(0, description="How often it tells its progress, one call right after the other.")
    lines: int = Field(0, description="How many log lines it tells; none of them replaces another.")


class Measured(BaseModel):
    """When the task's code began, in seconds since the epoch."""

    started: float = Field(description="The first thing that the code looked at.")


@kind(timeout_s=600, max_attempts=3)
async def measured(ctx: AsyncTaskContext, input: MeasuredInput) -> Measured:
    """Do nothing, and say so."""
    started = time.time()
    for step in range(input.steps):
        ctx.progress(step + 1, input.steps)
    for line in range(input.lines):
        ctx.log(f"line {line + 1}")
    return Measured(started=started)


class PacedInput(BaseModel):
    """How long to tell, and how often."""

    steps: int = Field(description="How often it tells its progress.")
    every_s: float = Field(description="Seconds between two of them.")


@kind(timeout_s=600, max_attempts=3)
async def paced(ctx: AsyncTaskContext, input: PacedInput) -> Measured:
    """Tell progress at a pace; each message is the wall clock at the call, in seconds since the epoch."""
    started = time.time()
    loop = asyncio.get_running_loop()
    due = loop.time()
    for step in range(input.steps):
        due += input.every_s
        await asyncio.sleep(due - loop.time())
        ctx.progress(step + 1, input.steps, f"{time.time():.6f}")
    return Measured(started=started)
