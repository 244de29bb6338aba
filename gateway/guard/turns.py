"""Work that holds the event loop for milliseconds, one piece at a time, and everyone else between two of them.

A loop serves whatever is ready before it looks for what has come meanwhile. Of 200 bodies that each take 10 ms to
decode and come together, it would decode all first, and others would wait for 2 s.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

LARGE_CHARS = 16_384
"""Of JSON: what is smaller takes less than a millisecond to decode, whatever it holds (measured 2026-11)."""


class Turns:
    """One replica's line of those who have such work, first come first served."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def take(self) -> AsyncIterator[None]:
        """Wait until those before are done and the loop has looked around. The work inside must not wait."""
        async with self._lock:
            await asyncio.sleep(0)
            yield
