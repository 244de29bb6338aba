"""What an attempt says and how it numbers it."""

import asyncio
import threading

import bson
import pytest

from core.documents import Task
from core.events import Cursor, Logged, Progressed, encode_event
from core.states import TaskStatus
from jobs.attempt import LOG_LINES_WAITING, Attempt, Interruption
from jobs.kinds import PermanentError
from jobs.outcome import raised
from jobs.runner import RETRY_CAP_S, backoff_s

Heard = list[Attempt]


def attempt_of(heard: Heard) -> Attempt:
    fields = {"kind": "k", "status": TaskStatus.RUNNING, "input": {}, "max_attempts": 3, "timeout_s": 1.0}
    return Attempt(Task.model_construct(**fields, epoch=2, n=1, attempt=1, id=None), heard.append)


async def test_latest_progress_wins_and_is_announced_once() -> None:
    heard: Heard = []
    attempt = attempt_of(heard)
    for current in range(100):
        attempt.say_progress(current, 100, None)
    assert heard == [attempt]
    (event,) = attempt.take_news()
    assert isinstance(event.event, Progressed)
    assert (event.event.current, event.cursor) == (99, Cursor(2, 2))
    assert attempt.take_news() == []
    assert attempt.told()["progress"] == {"current": 99, "total": 100, "message": None}


async def test_lines_come_before_the_progress_and_ids_have_no_hole() -> None:
    attempt = attempt_of([])
    attempt.say_progress(1, None, "one")
    attempt.say_log("first")
    attempt.say_log("x" * 5_000)
    events = attempt.take_news()
    assert [event.cursor.n for event in events] == [2, 3, 4]
    assert [type(event.event) for event in events] == [Logged, Logged, Progressed]
    assert isinstance(events[1].event, Logged)
    assert len(events[1].event.text) == 2_000
    assert attempt.reserve() == Cursor(2, 5)


async def test_lines_that_wait_are_bounded() -> None:
    attempt = attempt_of([])
    for number in range(LOG_LINES_WAITING + 50):
        attempt.say_log(str(number))
    events = attempt.take_news()
    assert len(events) == LOG_LINES_WAITING
    assert isinstance(events[0].event, Logged)
    assert events[0].event.text == "50"


async def test_progress_from_another_thread_reaches_the_loop() -> None:
    heard: Heard = []
    attempt = attempt_of(heard)
    thread = threading.Thread(target=attempt.say_progress, args=(1, 2, None))
    thread.start()
    thread.join()
    assert heard == []
    await asyncio.sleep(0)
    assert heard == [attempt]


@pytest.mark.parametrize(("current", "total"), [(-1, None), (0, -5)])
async def test_progress_that_is_no_count_is_refused(current: int, total: int | None) -> None:
    with pytest.raises(ValueError, match="at least 0"):
        attempt_of([]).say_progress(current, total, None)


async def test_first_interruption_stands_but_a_lost_epoch_overrides_it() -> None:
    attempt = attempt_of([])
    attempt.cancel("why not")
    attempt.interrupt(Interruption.TIMEOUT)
    before = attempt.interruption
    attempt.interrupt(Interruption.FENCED)
    assert [before, attempt.interruption] == [Interruption.CANCEL, Interruption.FENCED]


def test_backoff_is_jittered_and_capped() -> None:
    assert all(0 <= backoff_s(1) <= 2 for _ in range(100))
    assert all(backoff_s(100) <= RETRY_CAP_S for _ in range(100))
    assert len({backoff_s(5) for _ in range(10)}) > 1


@pytest.mark.parametrize("count", [-1, 2**53, 1.5, "3", None])
async def test_progress_that_nobody_could_store_is_refused_where_it_is_said(count: object) -> None:
    attempt = attempt_of([])
    with pytest.raises((ValueError, TypeError)):
        attempt.say_progress(count, 100, None)  # type: ignore[arg-type]
    assert attempt.take_news() == []


async def test_text_that_is_no_unicode_is_said_as_far_as_it_is() -> None:
    attempt = attempt_of([])
    attempt.say_log("a\ud800b")
    attempt.say_progress(1, 2, "\udfff")
    assert [encode_event(event.event) for event in attempt.take_news()]
    assert bson.encode(attempt.told())


def test_error_with_any_message_can_be_stored() -> None:
    outcome = raised(PermanentError("\ud800" + "x" * 100_000, code="\ud800"))
    assert len(bson.encode({"message": outcome.message, "code": outcome.code})) < 10_000
