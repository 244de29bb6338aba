"""Whether a process that has no port still lives: its event loop touches a file, `python -m core.alive` looks at it.

It knows nothing of services: an outage is survived, and a restart would help nobody. The file appears when the process
has opened its connections, so its absence means "not started yet". With an address as its argument the command asks
that instead. It reads no settings: it runs every few seconds beside each process.
"""

import asyncio
import os
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

VARIABLE = "HEADWAY_ALIVE_FILE"
TOUCH_EVERY_S = 2.0
STALE_AFTER_S = 15.0
"""A loop that is held up for so long is not coming back by itself."""
ANSWER_WITHIN_S = 3.0


async def show_life(path: str) -> None:
    """Touch the file until cancelled, then remove it; an empty path means that nobody looks."""
    if not path:
        return
    file = Path(path)
    try:
        while True:
            file.touch()  # noqa: ASYNC240  # A touch in memory takes microseconds; a thread would hide a stuck loop.
            await asyncio.sleep(TOUCH_EVERY_S)
    finally:
        file.unlink(missing_ok=True)  # noqa: ASYNC240  # As above.


def is_fresh(path: str) -> bool:
    """Return whether the file was touched within the last 15 seconds."""
    try:
        return time.time() - Path(path).stat().st_mtime < STALE_AFTER_S
    except OSError:
        return False


def answers(address: str) -> bool:
    """Return whether GET answers with success within three seconds."""
    try:
        with urlopen(address, timeout=ANSWER_WITHIN_S):
            return True
    except (URLError, OSError):
        return False


if __name__ == "__main__":
    sys.exit(not (answers(sys.argv[1]) if len(sys.argv) > 1 else is_fresh(os.environ.get(VARIABLE, ""))))
