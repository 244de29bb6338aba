"""Kinds that misbehave on purpose. A worker or gateway under test loads them by HEADWAY_KIND_MODULES."""

import asyncio
import os
import signal
import time

from pydantic import BaseModel, Field

from jobs.kinds import AsyncTaskContext, PermanentError, TaskContext, kind


class Empty(BaseModel):
    """No result to speak of."""

    attempts: int = Field(0, description="The attempt that succeeded.")
    first_step: int = Field(0, description="The step it began at.")


class FlakyInput(BaseModel):
    """Fails its first `failures` attempts."""

    failures: int = Field(1, description="How many attempts fail.")
    permanent: bool = Field(False, description="Whether another attempt would not help.")


@kind(timeout_s=60, max_attempts=3)
async def flaky(ctx: AsyncTaskContext, input: FlakyInput) -> Empty:
    """Fail some attempts, then succeed."""
    ctx.progress(ctx.attempt, 10)
    if ctx.attempt <= input.failures:
        if input.permanent:
            raise PermanentError("this can't ever work", code="HOPELESS")
        raise RuntimeError("secret of the house")
    return Empty(attempts=ctx.attempt)


class StepsInput(BaseModel):
    """A number of steps, each a pause."""

    steps: int = Field(10, description="How many steps.")
    pause_s: float = Field(0.1, description="Seconds a step.")


@kind(timeout_s=600, max_attempts=3)
async def steps(ctx: AsyncTaskContext, input: StepsInput) -> Empty:
    """Count slowly, and go on from the checkpoint."""
    first_step = ctx.state or 0
    for step in range(first_step, input.steps):
        await asyncio.sleep(input.pause_s)
        ctx.progress(step + 1, input.steps)
        await ctx.checkpoint(step + 1)
    return Empty(attempts=ctx.attempt, first_step=first_step)


@kind(timeout_s=600, max_attempts=3)
async def stubborn(ctx: AsyncTaskContext, input: StepsInput) -> Empty:
    """Do not yield to a cancellation."""
    ended = asyncio.get_running_loop().time() + input.steps * input.pause_s
    while asyncio.get_running_loop().time() < ended:
        try:
            await asyncio.sleep(input.pause_s)
        except asyncio.CancelledError:
            ctx.log("no")
    return Empty(attempts=ctx.attempt)


@kind(timeout_s=600, max_attempts=3)
async def distracted(ctx: AsyncTaskContext, input: StepsInput) -> Empty:
    """Miss the first cancellation, as a driver does whose wait is over at that moment, and go on."""
    has_missed_one = False
    for step in range(input.steps):
        ctx.progress(step, input.steps)
        try:
            await asyncio.sleep(input.pause_s)
        except asyncio.CancelledError:
            if has_missed_one:
                raise
            has_missed_one = True
    return Empty(attempts=ctx.attempt)


@kind(timeout_s=600, max_attempts=3)
async def blocking(ctx: AsyncTaskContext, input: StepsInput) -> Empty:
    """Block the worker's event loop."""
    time.sleep(input.steps * input.pause_s)  # noqa: ASYNC251  # That is what it is for.
    return Empty(attempts=ctx.attempt)


@kind(timeout_s=600, max_attempts=3)
async def deadly(ctx: AsyncTaskContext, input: StepsInput) -> Empty:
    """Kill the worker."""
    os.kill(os.getpid(), signal.SIGKILL)
    return Empty(attempts=ctx.attempt)


@kind(timeout_s=600, max_attempts=3)
def spin(ctx: TaskContext, input: StepsInput) -> Empty:
    """Burn a processor in a process of its own."""
    for step in range(input.steps):
        ended = time.monotonic() + input.pause_s
        while time.monotonic() < ended:
            ctx.progress(step, input.steps)
    ctx.progress(input.steps, input.steps)
    return Empty(attempts=ctx.attempt)


@kind(timeout_s=600, max_attempts=3)
def suicidal(ctx: TaskContext, input: StepsInput) -> Empty:
    """End the process that runs it."""
    os._exit(9)


class BulkyInput(BaseModel):
    """As large as it is."""

    text: str = Field("", description="Anything.")


class Bulk(BaseModel):
    """As large as a result may be."""

    text: str = Field(description="Nothing to read.")


@kind(timeout_s=60, max_attempts=3)
async def bulky(ctx: AsyncTaskContext, input: BulkyInput) -> Bulk:
    """Return what is too large together with a large input."""
    ctx.progress(len(input.text))
    return Bulk(text="y" * 7_900_000)
