"""How often what an attempt says is sent: at once as a rule, and no more than 20 times in any second."""

BURST = 2
REFILL_S = 1 / 18


class Pace:
    """Two sends, of which one comes back every 18th of a second: 20 at most in any second, both of its ends included.

    A strict gap would make a report wait that comes on time after one that came late. Times are of any one clock that
    never goes back, in seconds.
    """

    __slots__ = ("_full_at",)

    def __init__(self) -> None:
        self._full_at = 0.0

    def wait_s(self, now: float) -> float:
        """Return how long there is to wait until the next send, 0 where it may be now."""
        return max(0.0, self._full_at - (BURST - 1) * REFILL_S - now)

    def spend(self, now: float) -> None:
        """Take note of a send."""
        self._full_at = max(self._full_at, now) + REFILL_S
