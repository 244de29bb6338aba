"""What `/metrics` tells of the relay."""

from contextlib import aclosing
from datetime import timedelta

from prometheus_client import REGISTRY

from core.clock import utc_now
from core.events import Cursor, StateChanged
from core.settings import Settings
from core.states import TaskStatus
from gateway.opening import open_replica
from tests.integration.relay.boards import open_board
from tests.integration.relay.conftest import Submit


def gauges() -> tuple[float | None, float | None]:
    """Return how many tasks are watched, and by how many subscribers."""
    return (
        REGISTRY.get_sample_value("headway_relay_watched_tasks"),
        REGISTRY.get_sample_value("headway_relay_subscribers"),
    )


async def test_gauges_count_watched_tasks_and_subscribers_and_fall_back_to_nothing(
    settings: Settings, submit: Submit
) -> None:
    writer = await submit()
    async with open_replica(settings.model_copy(update={"broker": "direct"})) as replica:
        relay = replica.services.relay
        assert gauges() == (0, 0)
        async with aclosing(relay.follow(writer.task_id)) as first, aclosing(relay.follow(writer.task_id)) as second:
            await anext(first)
            await anext(second)
            assert gauges() == (1, 2)
            assert REGISTRY.get_sample_value("headway_relay_lag_seconds") == 0
            late = StateChanged(at=utc_now() - timedelta(seconds=7), attempt=0, status=TaskStatus.QUEUED)
            await writer.append(Cursor(1, 2), late)
            assert (await anext(first)).task.status is TaskStatus.QUEUED
            lag_s = REGISTRY.get_sample_value("headway_relay_lag_seconds")
            assert lag_s is not None
            assert 7 <= lag_s < 60
        assert gauges() == (0, 0)


async def test_the_gauge_of_boards_counts_them_and_falls_back_to_nothing(settings: Settings, submit: Submit) -> None:
    async with open_replica(settings.model_copy(update={"broker": "direct"})) as replica:
        assert REGISTRY.get_sample_value("headway_relay_boards") == 0
        async with open_board(replica.services.relay), open_board(replica.services.relay):
            assert REGISTRY.get_sample_value("headway_relay_boards") == 2
        assert REGISTRY.get_sample_value("headway_relay_boards") == 0
