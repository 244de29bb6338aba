"""The data folder's lock and its stack.json."""

from pathlib import Path

import msgspec
import pytest

from core.clock import utc_now
from stack.folder import FolderInUse, locked
from stack.state import STATE_FILE, RunningProcess, StackState, read_state, write_state


def state(pid: int = 4711) -> StackState:
    return StackState(
        pid=pid,
        url="http://127.0.0.1:8000",
        ready=True,
        broker="direct",
        started_at=utc_now(),
        services={"redis": "redis://127.0.0.1:1/0"},
        processes={"worker-1": RunningProcess(pid=12), "gateway-1": RunningProcess(13, 8000, "http://127.0.0.1:8000")},
    )


def test_state_is_read_as_it_was_written_and_replaced_whole(tmp_path: Path) -> None:
    write_state(tmp_path, state(1))
    write_state(tmp_path, second := state(2))

    assert read_state(tmp_path) == second
    assert [path.name for path in tmp_path.iterdir()] == [STATE_FILE]
    assert msgspec.json.decode((tmp_path / STATE_FILE).read_bytes())["processes"]["worker-1"] == {"pid": 12}


def test_second_lock_names_who_holds_the_first(tmp_path: Path) -> None:
    with locked(tmp_path / "data"):
        write_state(tmp_path / "data", state(4711))
        with pytest.raises(FolderInUse, match=r"pid 4711, http://127\.0\.0\.1:8000"), locked(tmp_path / "data"):
            pytest.fail("two stacks in one folder")


def test_lock_is_free_again_once_it_was_left(tmp_path: Path) -> None:
    for _ in range(2):
        with locked(tmp_path):
            pass
