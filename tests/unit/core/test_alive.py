"""The sign of life of a process that has no port."""

import asyncio
import os
import time
from pathlib import Path

from core.alive import STALE_AFTER_S, is_fresh, show_life
from core.cancellation import cancel_until_done


async def test_file_is_there_while_the_loop_turns_and_gone_after_its_end(tmp_path: Path) -> None:
    path = tmp_path / "alive"
    showing = asyncio.create_task(show_life(str(path)))
    await asyncio.sleep(0)
    assert is_fresh(str(path))
    await cancel_until_done([showing])
    assert not path.exists()


def test_old_or_missing_file_is_no_sign_of_life(tmp_path: Path) -> None:
    path = tmp_path / "alive"
    assert not is_fresh(str(path))
    path.touch()
    old = time.time() - STALE_AFTER_S - 1
    os.utime(path, (old, old))
    assert not is_fresh(str(path))


async def test_without_a_file_nothing_is_shown() -> None:
    await show_life("")
