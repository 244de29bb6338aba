"""Numbers that are counted without a lock are told as prometheus_client tells its own."""

from collections.abc import Iterator

import pytest
from prometheus_client import REGISTRY, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from gateway.counting import Family, Numbers


@pytest.fixture(params=[CounterMetricFamily, GaugeMetricFamily])
def numbers(request: pytest.FixtureRequest) -> Iterator[Numbers]:
    """Numbers of each family, taken out of the registry in the end."""
    family: Family = request.param
    made = Numbers(family, "headway_test", "What is tested.", ("one", "other"))
    yield made
    REGISTRY.unregister(made)


def test_each_combination_of_labels_has_a_number_of_its_own(numbers: Numbers) -> None:
    suffix = "_total" if numbers._family is CounterMetricFamily else ""
    for _ in range(3):
        numbers("a", 200).inc()
    numbers("b", 200).inc()
    numbers("b", 200).dec()
    told = {
        one: REGISTRY.get_sample_value(f"headway_test{suffix}", {"one": one, "other": "200"}) for one in ("a", "b", "c")
    }
    assert told == {"a": 3, "b": 0, "c": None}
    assert f'headway_test{suffix}{{one="a",other="200"}} 3.0' in generate_latest().decode()
