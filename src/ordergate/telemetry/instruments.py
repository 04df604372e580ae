"""Counters and histograms for the hot path, read by Prometheus's own collector.

The library's counters take a lock for every count, and a histogram takes several: measured, more than
deciding about an order. These belong to the one thread of the event loop and take none. They are
made with all their label values, and are exposed exactly as the library's own are.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector


class Histogram:
    """How often a value fell into each bucket; the last one has no upper bound."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def sample(self) -> tuple[list[tuple[str, float]], float]:
        """Buckets by upper bound, each with all that are below it, and the sum of the values."""
        buckets: list[tuple[str, float]] = []
        total = 0
        for bound, count in zip((*self._bounds, "+Inf"), self._counts, strict=True):
            total += count
            buckets.append((str(bound), float(total)))
        return buckets, self._sum


class Counter:
    """Counts up."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0

    def inc(self, by: int = 1) -> None:
        self.count += by


class Histograms(Collector):
    """Histograms of one name, by the values of their labels."""

    def __init__(
        self,
        name: str,
        meaning: str,
        labels: Sequence[str] = (),
        *,
        buckets: Sequence[float],
        registry: CollectorRegistry,
    ) -> None:
        self._name, self._meaning, self._labels, self._bounds = name, meaning, labels, buckets
        self._of: dict[tuple[str, ...], Histogram] = {}
        registry.register(self)

    def of(self, *values: str) -> Histogram:
        """Made on first use; keep it, because looking it up costs more than counting."""
        found = self._of.get(values)
        if found is None:
            found = self._of[values] = Histogram(self._bounds)
        return found

    def collect(self) -> Iterable[HistogramMetricFamily]:
        family = HistogramMetricFamily(self._name, self._meaning, labels=self._labels)
        for values, histogram in self._of.items():
            buckets, total = histogram.sample()
            family.add_metric(values, buckets, total)
        return (family,)


class Counters(Collector):
    """Counters of one name, by the values of their labels."""

    def __init__(
        self, name: str, meaning: str, labels: Sequence[str] = (), *, registry: CollectorRegistry
    ) -> None:
        self._name, self._meaning, self._labels = name, meaning, labels
        self._of: dict[tuple[str, ...], Counter] = {}
        registry.register(self)

    def of(self, *values: str) -> Counter:
        """Made on first use; keep it."""
        found = self._of.get(values)
        if found is None:
            found = self._of[values] = Counter()
        return found

    def collect(self) -> Iterable[CounterMetricFamily]:
        family = CounterMetricFamily(self._name, self._meaning, labels=self._labels)
        for values, counter in self._of.items():
            family.add_metric(values, counter.count)
        return (family,)
