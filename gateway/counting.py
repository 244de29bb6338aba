"""Numbers of what happens with every request: prometheus_client takes a lock for each, and a microsecond.

They may be changed by the thread of the event loop only.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

Family = type[CounterMetricFamily] | type[GaugeMetricFamily]
Label = str | int
Numbers = defaultdict[Label | tuple[Label, ...], int]
"""By the value of a metric's only label, or the values of all its labels in their order."""


def numbers(
    family: Family, name: str, documentation: str, labels: Sequence[str], registry: CollectorRegistry = REGISTRY
) -> Numbers:
    """Register a metric, and return the numbers that it tells."""
    counted: Numbers = defaultdict(int)
    registry.register(_Told(family, name, documentation, labels, counted))
    return counted


class _Told(Collector):
    """A metric's numbers as Prometheus reads them."""

    def __init__(self, family: Family, name: str, documentation: str, labels: Sequence[str], counted: Numbers) -> None:
        self._family = family
        self._name = name
        self._documentation = documentation
        self._labels = labels
        self._counted = counted

    def collect(self) -> Iterable[CounterMetricFamily | GaugeMetricFamily]:
        """Yield the metric as it stands."""
        family = self._family(self._name, self._documentation, labels=self._labels)
        for found, number in tuple(self._counted.items()):
            values = found if isinstance(found, tuple) else (found,)
            family.add_metric([str(value) for value in values], number)
        yield family
