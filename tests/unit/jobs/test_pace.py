"""That a pace holds for any second, whatever it is asked, and costs no more than it has to."""

from hypothesis import given
from hypothesis import strategies as st

from jobs.pace import BURST, REFILL_S, Pace

MOST = 20
pauses = st.lists(st.one_of(st.just(0.0), st.floats(0.0, 0.15), st.floats(0.0, 3.0)), min_size=1, max_size=300)


@given(st.floats(0.0, 1e6), pauses)
def test_no_second_holds_more_than_twenty_sends(began: float, waits: list[float]) -> None:
    pace, now, sent = Pace(), began, list[float]()
    for wait_s in waits:
        now += wait_s
        if not pace.wait_s(now):
            pace.spend(now)
            sent.append(now)
    assert all(last - first > 1.0 for first, last in zip(sent, sent[MOST:], strict=False))


@given(st.floats(0.0, 1e6), pauses)
def test_whoever_waits_as_long_as_told_may_send(began: float, waits: list[float]) -> None:
    pace, now, sent = Pace(), began, list[float]()
    for wait_s in waits:
        now += max(wait_s, pace.wait_s(now))
        assert pace.wait_s(now) <= 1e-9 * max(1.0, now)
        pace.spend(now)
        sent.append(now)
    assert all(last - first > 1.0 for first, last in zip(sent, sent[MOST:], strict=False))


@given(st.floats(0.0, 1e6), st.lists(st.floats(0.0, REFILL_S), min_size=2, max_size=100))
def test_reports_of_a_steady_rate_that_come_late_by_less_than_their_distance_never_wait(
    began: float, delays: list[float]
) -> None:
    pace = Pace()
    for number, late_s in enumerate(delays):
        now = began + number / 16 + late_s
        assert pace.wait_s(now) == 0
        pace.spend(now)


def test_no_wait_is_longer_than_until_the_next_comes_back() -> None:
    pace = Pace()
    for _ in range(BURST):
        assert pace.wait_s(5.0) == 0
        pace.spend(5.0)
    assert 0 < pace.wait_s(5.0) <= REFILL_S
