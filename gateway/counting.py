"""Numbers of what happens with every request: prometheus_client takes a lock for each, and a microsecond.

They may be changed by the thread of the event loop only.
"""

from collections.abc import Iterable

from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

Family = type[CounterMetricFamily] | type[GaugeMetricFamily]


class Number:
    """One of a metric's numbers."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0

    def inc(self) -> None:
        """Count one more."""
        self.value += 1

    def dec(self) -> None:
        """Count one less."""
        self.value -= 1


class Numbers(Collector):
    """A metric's numbers by the values of its labels, in the process's own registry."""

    def __init__(self, family: Family, name: str, documentation: str, labels: Iterable[str]) -> None:
        self._family = family
        self._name = name
        self._documentation = documentation
        self._labels = tuple(labels)
        self._numbers: dict[tuple[str | int, ...], Number] = {}
        REGISTRY.register(self)

    def __call__(self, *values: str | int) -> Number:
        """Return the number with these values of the labels."""
        number = self._numbers.get(values)
        if number is None:
            number = self._numbers[values] = Number()
        return number

    def collect(self) -> Iterable[CounterMetricFamily | GaugeMetricFamily]:
        """Yield the metric as it stands."""
        family = self._family(self._name, self._documentation, labels=self._labels)
        for values, number in tuple(self._numbers.items()):
            family.add_metric([str(value) for value in values], number.value)
        yield family
