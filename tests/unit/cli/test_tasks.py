"""What the command makes of a task that the API tells of."""

from cli.tasks import ENDS, TaskView
from core.states import TERMINAL, TaskStatus


def test_every_end_has_an_exit_status_and_only_success_is_zero() -> None:
    assert set(ENDS) == TERMINAL
    assert len(set(ENDS.values())) == len(ENDS)
    assert [status for status, exit_status in ENDS.items() if exit_status == 0] == [TaskStatus.SUCCEEDED]
    assert not {1, 2, 3} & set(ENDS.values())


def test_view_takes_what_the_subscription_yields() -> None:
    view = TaskView.from_api(
        {
            "id": "0190f5c4-7e1a-7c3b-9d2e-3f4a5b6c7d8e",
            "kind": "processData",
            "status": "FAILED",
            "attempt": 2,
            "progress": {"current": 3, "total": None, "percent": None, "message": "half"},
            "error": {"code": "TIMEOUT", "message": "took too long"},
            "resultJson": None,
            "cancelReason": None,
        }
    )

    assert view.status is TaskStatus.FAILED
    assert view.error == "TIMEOUT: took too long"
    assert (view.current, view.total) == (3, None)
