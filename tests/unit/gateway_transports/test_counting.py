"""Numbers that are counted without a lock are told as prometheus_client tells its own."""

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from gateway.counting import Family, numbers


@pytest.mark.parametrize(("family", "suffix"), [(CounterMetricFamily, "_total"), (GaugeMetricFamily, "")])
def test_each_combination_of_labels_has_a_number_of_its_own(family: Family, suffix: str) -> None:
    registry = CollectorRegistry()
    counted = numbers(family, "headway_test", "What is tested.", ("one", "other"), registry)
    for _ in range(3):
        counted["a", 200] += 1
    counted["b", 200] += 1
    counted["b", 200] -= 1
    told = {
        one: registry.get_sample_value(f"headway_test{suffix}", {"one": one, "other": "200"}) for one in ("a", "b", "c")
    }
    assert told == {"a": 3, "b": 0, "c": None}
    assert f'headway_test{suffix}{{one="a",other="200"}} 3.0' in generate_latest(registry).decode()


def test_the_only_label_of_a_metric_is_named_by_its_value_alone() -> None:
    registry = CollectorRegistry()
    counted = numbers(CounterMetricFamily, "headway_test", "What is tested.", ("status",), registry)
    counted[200] += 1
    assert registry.get_sample_value("headway_test_total", {"status": "200"}) == 1
