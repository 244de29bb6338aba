"""What the schema shows of stored tasks, and its scalars."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from bson.tz_util import utc as STORED_UTC
from hypothesis import given
from hypothesis import strategies as st
from strawberry.exceptions import StrawberryInputCoercionError

from core.documents import Task, TaskProgress, TimelineEntry
from core.errors import BadUserInput
from core.states import Priority, TaskStatus
from gateway.schema.scalars import SCALARS, BigInt, read_attribute, read_date_time, write_date_time
from gateway.schema.task_view import ProgressView, TaskView, TimelineView
from gateway.submit import SubmitOptions

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("current", "total", "shown"),
    [
        (0, None, (0, None, None)),
        (5, None, (5, None, None)),
        (0, 0, (0, 0, None)),
        (1, 3, (1, 3, 33.33)),
        (3, 3, (3, 3, 100.0)),
        (7, 3, (7, 3, 100.0)),
        (-1, 3, (0, 3, 0.0)),
        (5, -3, (5, 0, None)),
        (2**40, 2**41, (2**31 - 1, 2**31 - 1, 50.0)),
    ],
)
def test_progress_stays_within_what_the_schema_promises(current: int, total: int | None, shown: Any) -> None:
    view = ProgressView(TaskProgress(current=current, total=total))
    assert (view.current, view.total, view.percent) == shown


def test_a_timeline_entry_has_an_error_only_with_a_code() -> None:
    entry = TimelineEntry(epoch=2, n=3, at=NOW, attempt=1, status=TaskStatus.RETRYING, by="w1")
    assert TimelineView(entry).error is None
    failed = TimelineView(entry.model_copy(update={"error_code": "TIMEOUT", "error_message": "took too long"}))
    assert failed.error is not None
    assert (failed.error.code, failed.error.message, failed.cursor) == ("TIMEOUT", "took too long", "2-3")


@pytest.mark.parametrize("last", [1, 499, 500, 501])
def test_the_latest_of_a_timeline_are_shown_in_order(last: int) -> None:
    entries = [
        TimelineEntry(epoch=epoch, n=1, at=NOW, attempt=1, status=TaskStatus.QUEUED, by="w1") for epoch in range(1, 501)
    ]
    shown = [entry.cursor for entry in TaskView(Task.model_construct(timeline=entries)).timeline(last)]
    assert shown == [f"{epoch}-1" for epoch in range(max(1, 501 - last), 501)]


def test_moments_are_written_in_utc_with_milliseconds() -> None:
    moment = datetime(2026, 1, 31, 14, 0, 0, 5_999, tzinfo=timezone(timedelta(hours=2)))
    assert write_date_time(moment) == "2026-01-31T12:00:00.005Z"
    assert read_date_time("2026-01-31T14:00:00.005999+02:00") == datetime(2026, 1, 31, 12, 0, 0, 5_000, tzinfo=UTC)


@given(
    st.datetimes(
        datetime(1, 1, 2),  # noqa: DTZ001  # Its zone is drawn.
        datetime(9999, 12, 30),  # noqa: DTZ001
        timezones=st.sampled_from([None, UTC, STORED_UTC, timezone(timedelta(hours=-3, minutes=-30))]),
    )
)
def test_moments_are_written_as_isoformat_would(moment: datetime) -> None:
    in_utc = moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    assert write_date_time(moment) == in_utc.isoformat(timespec="milliseconds") + "Z"


@pytest.mark.parametrize(
    "text", ["2026-01-31", "2026-01-31T12:00:00", "12:00Z", "", "0001-01-01T00:00:00+10:00", 7, None]
)
def test_a_moment_without_an_offset_is_refused(text: Any) -> None:
    with pytest.raises(StrawberryInputCoercionError, match="expected RFC 3339 text with an offset"):
        read_date_time(text)


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 1.5, True, "1"])
def test_a_big_int_takes_whole_numbers_of_64_bits(value: Any) -> None:
    parse = SCALARS[BigInt].parse_value
    assert parse is not None
    assert parse(2**63 - 1) == 2**63 - 1
    with pytest.raises(StrawberryInputCoercionError):
        parse(value)


def test_a_field_missing_in_stored_json_reads_as_null() -> None:
    assert read_attribute({"a": 1}, "b") is None


@pytest.mark.parametrize(
    ("options", "field"),
    [
        (SubmitOptions(delay_s=1, run_at=NOW), "options.runAt"),
        (SubmitOptions(delay_s=-1), "options.delayS"),
        (SubmitOptions(delay_s=1e9), "options.delayS"),
        (SubmitOptions(delay_s=float("nan")), "options.delayS"),
        (SubmitOptions(run_at=NOW + timedelta(days=367)), "options.runAt"),
        (SubmitOptions(deadline=NOW), "options.deadline"),
        (SubmitOptions(deadline=NOW + timedelta(seconds=5), delay_s=5), "options.deadline"),
        (SubmitOptions(timeout_s=0), "options.timeoutS"),
        (SubmitOptions(timeout_s=86_401), "options.timeoutS"),
        (SubmitOptions(max_attempts=0), "options.maxAttempts"),
        (SubmitOptions(max_attempts=101), "options.maxAttempts"),
        (SubmitOptions(idempotency_key=""), "options.idempotencyKey"),
        (SubmitOptions(idempotency_key="x" * 201), "options.idempotencyKey"),
        (SubmitOptions(idempotency_key="\ud800"), "options.idempotencyKey"),
    ],
)
def test_an_option_out_of_range_is_named(options: SubmitOptions, field: str) -> None:
    with pytest.raises(BadUserInput) as caught:
        options.validate(NOW)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("options", "due"),
    [
        (SubmitOptions(), None),
        (SubmitOptions(delay_s=0), None),
        (SubmitOptions(run_at=NOW - timedelta(hours=1)), None),
        (SubmitOptions(delay_s=2.5), NOW + timedelta(seconds=2.5)),
        (SubmitOptions(run_at=NOW + timedelta(hours=1), priority=Priority.LOW), NOW + timedelta(hours=1)),
    ],
)
def test_only_a_time_in_the_future_schedules(options: SubmitOptions, due: datetime | None) -> None:
    options.validate(NOW)
    assert options.due_at(NOW) == due
