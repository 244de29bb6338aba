"""How the bridge shares its hand-overs among priorities."""

from collections import Counter
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.messages import PRIORITIES, TaskMessage
from core.states import Priority
from jobs.bridge.sources import WEIGHTS, Parcel, WeightedQueues


def parcels(queues: WeightedQueues, priority: Priority, count: int) -> None:
    for number in range(count):
        queues.push(priority, Parcel(TaskMessage(UUID(int=number), PRIORITIES.index(priority) + 1)))


def priority_of(parcel: Parcel) -> Priority:
    return PRIORITIES[parcel.message.epoch - 1]


def test_full_queues_are_served_by_their_weights_and_low_never_starves() -> None:
    queues = WeightedQueues()
    for priority in PRIORITIES:
        parcels(queues, priority, 100)
    served = Counter(priority_of(queues.pop()) for _ in range(sum(WEIGHTS.values())))
    assert served == WEIGHTS


def test_empty_queue_gives_its_share_to_the_others() -> None:
    queues = WeightedQueues()
    parcels(queues, Priority.LOW, 3)
    assert [priority_of(queues.pop()) for _ in range(3)] == [Priority.LOW] * 3
    with pytest.raises(IndexError):
        queues.pop()


@given(st.dictionaries(st.sampled_from(PRIORITIES), st.integers(0, 40)))
def test_every_parcel_comes_out_once_and_each_line_in_order(counts: dict[Priority, int]) -> None:
    queues = WeightedQueues()
    for priority, count in counts.items():
        parcels(queues, priority, count)
    assert len(queues) == sum(counts.values())
    out = [queues.pop() for _ in range(len(queues))]
    for priority, count in counts.items():
        assert [p.message.task_id.int for p in out if priority_of(p) is priority] == list(range(count))
