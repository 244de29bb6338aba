"""A kind whose progress says when it was said: the load's ordinary work."""

import asyncio
import time

from jobs.kinds import AsyncTaskContext, kind
from tests.fault_kinds import Empty, StepsInput


@kind(timeout_s=600, max_attempts=3)
async def tell(ctx: AsyncTaskContext, input: StepsInput) -> Empty:
    """Count slowly; each message is the wall clock at the call of `progress`, in seconds."""
    for step in range(input.steps):
        await asyncio.sleep(input.pause_s)
        ctx.progress(step + 1, input.steps, f"{time.time():.4f}")
    return Empty(attempts=ctx.attempt)
