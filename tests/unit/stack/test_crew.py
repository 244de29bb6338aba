"""How long a dead child waits, and which process groups a guard still has to end."""

from stack.crew import FIRST_PAUSE_S, LONGEST_PAUSE_S, STEADY_AFTER_S, Backoff
from stack.guard import remaining_groups


def test_pause_before_a_restart_doubles_up_to_a_bound() -> None:
    backoff = Backoff()

    pauses = [backoff.next_pause_s(lived_s=1.0) for _ in range(7)]

    assert pauses[:3] == [FIRST_PAUSE_S, 2 * FIRST_PAUSE_S, 4 * FIRST_PAUSE_S]
    assert pauses[-1] == LONGEST_PAUSE_S


def test_steady_child_starts_over_with_the_first_pause() -> None:
    backoff = Backoff()
    for _ in range(5):
        backoff.next_pause_s(lived_s=1.0)

    assert backoff.next_pause_s(lived_s=STEADY_AFTER_S) == FIRST_PAUSE_S


def test_guard_forgets_groups_that_were_taken_back() -> None:
    assert remaining_groups(["+10\n", "+20\n", "-10\n", "+30\n", "-99\n"]) == [20, 30]
