"""Work that holds the event loop for milliseconds, one piece at a time, and everyone else between two of them.

A loop serves whatever is ready before it looks for what has come meanwhile. Of 200 bodies that each take 10 ms to
decode and come together, it would decode all first, and others would wait for 2 s.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

LARGE_CHARS = 16_384
"""Of JSON: what is smaller takes less than a millisecond to decode, whatever it holds (measured 2026-11)."""


class Turns:
    """One replica's line of those who have such work, first come first served. Others have half of the time."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._free_at = 0.0

    @asynccontextmanager
    async def take(self) -> AsyncIterator[None]:
        """Wait until those before are done and others had as long as the last took. The work inside must not wait."""
        async with self._lock:
            await asyncio.sleep(max(0.0, self._free_at - time.monotonic()))
            began_at = time.monotonic()
            try:
                yield
            finally:
                ended_at = time.monotonic()  # The loop's own clock stands still while we work.
                self._free_at = ended_at + (ended_at - began_at)
