"""Which arguments a queue gets, so that no version of RabbitMQ drops a message for having been delivered often."""

import pytest

from core.publisher import QUORUM, UNLIMITED, wanted_arguments


@pytest.mark.parametrize("version", ["4.0.5", "4.1.0-rc.1", "4", "10.2.1"])
def test_rabbitmq_from_4_on_is_told_to_have_no_delivery_limit(version: str) -> None:
    assert wanted_arguments(version) == UNLIMITED == {"x-queue-type": "quorum", "x-delivery-limit": -1}


@pytest.mark.parametrize("version", ["3.10.8", "3.13.7", "", "unknown"])
def test_older_rabbitmq_has_no_limit_and_would_take_minus_one_for_none_at_all(version: str) -> None:
    assert wanted_arguments(version) == QUORUM
