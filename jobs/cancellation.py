"""Ending background loops surely."""

import asyncio
from collections.abc import Collection
from typing import Any

AGAIN_S = 0.1


async def cancel_until_done(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancel tasks again and again until each has ended; what they end with is left to their owner.

    Once does not do: before Python 3.12 `asyncio.wait_for`, by which redis-py sends, swallows a cancellation that comes
    in the moment its own wait is over (github.com/python/cpython/issues/86296), and a loop then goes on.
    """
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=AGAIN_S)
